import type { ProviderName } from "../../domain/provider.ts"

/** The consent page that stands in for a provider's authorize page. The query stays as it is. */
export function consentPageUrl(publicUrl: string, provider: ProviderName, authorizeUrl: URL): URL {
  const page = new URL(`${publicUrl}/sandbox/${provider}/authorize`)
  page.search = authorizeUrl.search
  return page
}
