/** Arctic has no client for Instagram; this one has the same form, the global `fetch` included. */
interface InstagramClient {
  createAuthorizationURL(state: string, scopes: readonly string[]): URL
  /** Resolves with the answer as it came; the caller judges it. */
  validateAuthorizationCode(code: string): Promise<Response>
}

const authorizationEndpoint = "https://www.instagram.com/oauth/authorize"
const tokenEndpoint = "https://api.instagram.com/oauth/access_token"

export function instagramClient(
  clientId: string,
  clientSecret: string,
  redirectUri: string,
): InstagramClient {
  return {
    createAuthorizationURL(state, scopes) {
      const url = new URL(authorizationEndpoint)
      url.searchParams.set("response_type", "code")
      url.searchParams.set("client_id", clientId)
      url.searchParams.set("state", state)
      if (scopes.length > 0) url.searchParams.set("scope", scopes.join(","))
      url.searchParams.set("redirect_uri", redirectUri)
      return url
    },

    validateAuthorizationCode(code) {
      const body = new URLSearchParams({
        grant_type: "authorization_code",
        code,
        redirect_uri: redirectUri,
        client_id: clientId,
        client_secret: clientSecret,
      })
      const headers = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" }
      return fetch(new Request(tokenEndpoint, { method: "POST", headers, body: body.toString() }))
    },
  }
}
