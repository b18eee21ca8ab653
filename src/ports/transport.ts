/**
 * Carries one request to a provider and brings its whole answer. The live one talks TLS; the sandbox answers
 * in process. Redirects are answers, never followed. Rejects with `TransportFault` and nothing else.
 */
export type Transport = (request: ProviderRequest, limits: TransportLimits) => Promise<ProviderAnswer>

export interface ProviderRequest {
  readonly method: "GET" | "POST" | "DELETE"
  readonly url: string
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  /**
   * Lets the request use a connection kept from an earlier one, which saves both sides the handshake. Such a
   * connection may have died unseen: then a POST is lost and nobody knows whether it was spent, and anything else
   * may be sent again. Without this a request has a connection of its own.
   */
  readonly mayUseKeptConnection?: boolean
}

export interface ProviderAnswer {
  readonly status: number
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface TransportLimits {
  readonly timeoutMs: number
  readonly maxBytes: number
}

/** `timeout`: no whole answer in time. `unreachable`: no connection or a broken one. `too_large`: more bytes than allowed. */
export class TransportFault extends Error {
  override readonly name = "TransportFault"
  readonly kind: "timeout" | "unreachable" | "too_large"
  /** Set where it is certain that nothing of the request left. */
  readonly unsent: boolean

  constructor(
    kind: "timeout" | "unreachable" | "too_large",
    options: { readonly cause?: unknown; readonly unsent?: boolean } = {},
  ) {
    super(kind, { cause: options.cause })
    this.kind = kind
    this.unsent = options.unsent ?? false
  }
}
