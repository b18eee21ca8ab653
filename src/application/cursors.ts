import type { Principal } from "../domain/api-key.ts"
import { invalidField } from "../domain/errors.ts"
import type { Signer } from "../ports/crypto.ts"

/** Cursors of one list: a position and a MAC over it, the list and its owner; opaque, and of no use to anybody else. */
export interface Cursors {
  write(principal: Principal, position: string): string
  /** The position, which nobody but `write` can have made. Throws `invalid_input`. */
  read(principal: Principal, cursor: string): string
}

export function signedCursors(signer: Signer, list: string): Cursors {
  const message = (principal: Principal, position: string) =>
    JSON.stringify([list, principal.tenant, principal.environment, position])
  return {
    write: (principal, position) => `${position}.${signer.sign("cursor", message(principal, position))}`,

    read(principal, cursor) {
      const end = cursor.lastIndexOf(".")
      const position = cursor.slice(0, Math.max(end, 0))
      if (signer.verify("cursor", message(principal, position), cursor.slice(end + 1))) return position
      throw invalidField(
        "cursor",
        "is not a cursor of this list with these filters; pass next_cursor as it came beside the same filters, or leave it out for the first page",
      )
    },
  }
}
