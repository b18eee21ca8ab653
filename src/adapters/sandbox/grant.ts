import { Buffer } from "node:buffer"
import type { ProviderName } from "../../domain/provider.ts"
import type { Clock, RandomBytes, Signer } from "../../ports/crypto.ts"
import type { PersonName } from "./people.ts"

/** What one consent allowed. The code and every token that follows carry it, so that nothing need be stored. */
export interface Grant {
  readonly provider: ProviderName
  readonly clientId: string
  readonly redirectUri: string
  readonly requested: readonly string[]
  readonly declined: readonly string[]
  readonly challenge: string | null
  readonly person: PersonName
  readonly scenario: string
  /** The token lifetimes the test asked for, in seconds; null for the provider's own. Renewed tokens live as long. */
  readonly expiresIn: number | null
  readonly refreshExpiresIn: number | null
  /** How long each refresh takes to be answered; null for at once. */
  readonly delayMs: number | null
  /** Facebook: the Pages that were granted; null for all the person has. */
  readonly pages: readonly string[] | null
  /** Shared by everything that comes of one consent. */
  readonly consent: string
  /** A later consent has a higher one. */
  readonly order: number
}

/** Where a token stands in the line of refreshes that began with its consent. */
export interface Rotation {
  /** How many refreshes came before it. */
  readonly generation: number
  /** Tells it from another of the same generation, which there is only where a refresh token was used twice. */
  readonly id: string
}

/** `short` and `long` are Meta's two user tokens, `page` a Facebook Page's; the others have `access` alone. */
export type TicketKind = "code" | "access" | "short" | "long" | "page" | "refresh"

/** A code or token, opened. */
export interface Ticket {
  readonly kind: TicketKind
  readonly grant: Grant
  /** The Page that a `page` token is for. */
  readonly pageId: string | null
  readonly issuedAt: Date
  /** Null: does not end by itself. */
  readonly expiresAt: Date | null
  readonly nonce: string
  readonly rotation: Rotation
}

export type NewTicket = Pick<Ticket, "kind" | "grant"> & {
  readonly lifetimeSeconds: number | null
  readonly pageId?: string
  /** The beginning of the line unless given. */
  readonly rotation?: Rotation | undefined
}

export interface TicketOffice {
  issue(ticket: NewTicket): string
  /** Undefined for every text this office did not issue, in whatever part it was altered. Does not judge age. */
  read(text: string): Ticket | undefined
  /** A fresh name for what comes of one consent, or of one refresh. */
  newName(): string
}

interface Payload {
  readonly grant: Grant
  readonly page: string | null
  readonly at: number
  readonly lasts: number | null
  readonly nonce: string
  /** Absent at the beginning of the line. */
  readonly rotation?: Rotation
}

// The last character of a MAC has two spare bits: only its canonical spelling is taken, so that no two texts
// are the same ticket.
const ticketPattern =
  /^sandbox_(code|access|short|long|page|refresh)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])$/

/**
 * Issues codes and tokens that any instance of Mooring recognises: signed, self-contained texts. They are
 * signed and not sealed, since a sandbox token opens nothing but the sandbox.
 */
export function ticketOffice(deps: {
  readonly signer: Signer
  readonly now: Clock
  readonly randomBytes: RandomBytes
}): TicketOffice {
  const nonce = () => Buffer.from(deps.randomBytes(12)).toString("base64url")
  return {
    issue({ kind, grant, pageId, lifetimeSeconds, rotation }) {
      const payload: Payload = {
        grant,
        page: pageId ?? null,
        at: deps.now().getTime(),
        lasts: lifetimeSeconds,
        nonce: nonce(),
        ...(rotation && { rotation }),
      }
      const text = Buffer.from(JSON.stringify(payload)).toString("base64url")
      return `sandbox_${kind}.${text}.${deps.signer.sign("sandbox", signedMessage(kind, text))}`
    },
    read(text) {
      const [, kind, payload = "", mac = ""] = ticketPattern.exec(text) ?? []
      if (!kind || !deps.signer.verify("sandbox", signedMessage(kind, payload), mac)) return undefined
      // The MAC proves that `issue` wrote both, so their shapes are known.
      return toTicket(kind as TicketKind, JSON.parse(Buffer.from(payload, "base64url").toString("utf8")))
    },
    newName: nonce,
  }
}

/** Carries the version of the payload, so that another format of it is never misread. */
function signedMessage(kind: string, payload: string): string {
  return `2.${kind}.${payload}`
}

function toTicket(kind: TicketKind, { grant, page, at, lasts, nonce, rotation }: Payload): Ticket {
  return {
    kind,
    grant,
    pageId: page,
    issuedAt: new Date(at),
    expiresAt: lasts === null ? null : new Date(at + lasts * 1000),
    nonce,
    rotation: rotation ?? { generation: 0, id: grant.consent },
  }
}

/** At its expiry a ticket has ended. */
export function hasEnded(ticket: Pick<Ticket, "expiresAt">, now: Date): boolean {
  return ticket.expiresAt !== null && now.getTime() >= ticket.expiresAt.getTime()
}

export function grantedScopes(grant: Pick<Grant, "requested" | "declined">): readonly string[] {
  return grant.requested.filter((scope) => !grant.declined.includes(scope))
}
