import { SignJWT } from "jose"

export interface DashboardTokenRequest {
  readonly secret: string
  readonly tenant: string
  readonly tenantClaim: string
  readonly issuer: string | undefined
  readonly audience: string | undefined
  readonly lifetimeSeconds: number
}

/** A dashboard token as a tenant's own dashboard would sign it: HS256, for a self-hosted tenant without one. */
export function signDashboardToken(request: DashboardTokenRequest): Promise<string> {
  const token = new SignJWT({ [request.tenantClaim]: request.tenant })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .setIssuedAt()
    .setExpirationTime(`${request.lifetimeSeconds} s`)
  if (request.tenantClaim !== "sub") token.setSubject("cli")
  if (request.issuer !== undefined) token.setIssuer(request.issuer)
  if (request.audience !== undefined) token.setAudience(request.audience)
  return token.sign(new TextEncoder().encode(request.secret))
}
