import { createHash } from "node:crypto"
import type { ProviderName } from "../../domain/provider.ts"

/** A Facebook Page that a person may use. */
export interface Page {
  readonly id: string
  readonly name: string
  /** Many real Pages have none. */
  readonly username: string | null
}

/** A LinkedIn organisation in which a person has a role. */
export interface Organization {
  readonly id: number
  readonly name: string
  readonly vanityName: string
  readonly hasLogo: boolean
  readonly role: "ADMINISTRATOR" | "ANALYST"
}

/** Someone who can be asked for consent. */
export interface Person {
  readonly name: PersonName
  readonly displayName: string
  readonly username: string
  /** What is unusual, in one phrase for the consent page; empty where nothing is. */
  readonly note: string
  readonly hasPicture: boolean
  readonly pages: readonly Page[]
  readonly organizations: readonly Organization[]
}

export const personNames = ["ann", "ben", "cleo", "dora", "zoe"] as const

export type PersonName = (typeof personNames)[number]

export const people: Readonly<Record<PersonName, Person>> = {
  ann: {
    name: "ann",
    displayName: "Ann Dev",
    username: "ann.dev",
    note: "",
    hasPicture: true,
    pages: [{ id: "102030405060701", name: "Ann's Bakery", username: "annsbakery" }],
    organizations: [],
  },
  ben: {
    name: "ben",
    displayName: "Ben Okafor",
    username: "ben.okafor",
    note: "no picture",
    hasPicture: false,
    pages: [{ id: "102030405060702", name: "Okafor Repairs", username: null }],
    organizations: [],
  },
  cleo: {
    name: "cleo",
    displayName: "Cleo Marsh",
    username: "cleo.marsh",
    note: "",
    hasPicture: true,
    pages: [
      { id: "102030405060711", name: "Marsh Books", username: "marshbooks" },
      { id: "102030405060712", name: "Marsh Coffee", username: "marshcoffee" },
      { id: "102030405060713", name: "Marsh Events", username: null },
      { id: "102030405060714", name: "Marsh Gallery", username: "marshgallery" },
      { id: "102030405060715", name: "Marsh Press", username: null },
    ],
    organizations: [
      { id: 2414183, name: "Marsh Books", vanityName: "marsh-books", hasLogo: true, role: "ADMINISTRATOR" },
      { id: 2414184, name: "Book Trade", vanityName: "book-trade", hasLogo: true, role: "ANALYST" },
      { id: 2414185, name: "Marsh Press", vanityName: "marsh-press", hasLogo: false, role: "ADMINISTRATOR" },
    ],
  },
  dora: {
    name: "dora",
    displayName: "Dora Quiet",
    username: "dora.quiet",
    note: "",
    hasPicture: true,
    pages: [],
    organizations: [],
  },
  zoe: {
    name: "zoe",
    displayName: `Zoë "Zed" O'Hara 🦊 <html>&amp;`,
    username: "zoe.ohara",
    note: "a name with emoji, quotes and markup",
    hasPicture: true,
    pages: [{ id: "102030405060721", name: `Zoë's "Fox & Co" 🦊 <b>Page</b>`, username: "foxandco" }],
    organizations: [
      {
        id: 2414191,
        name: `Zoë's "Fox & Co" 🦊`,
        vanityName: "fox-co",
        hasLogo: true,
        role: "ADMINISTRATOR",
      },
    ],
  },
}

export function isPersonName(text: string): text is PersonName {
  return (personNames as readonly string[]).includes(text)
}

/** An https address under a name that can never resolve (RFC 6761 section 6.4). */
export function avatarUrl(subject: string): string {
  return `https://sandbox.invalid/avatar/${subject}.png`
}

/** The same person's number on every app, as X and Instagram have it. Above 2^53 and odd, so that a double cannot hold it. */
export function globalId(person: Person): string {
  return `1784140000000${1001 + 2 * personNames.indexOf(person.name)}`
}

/** A text that is this person for this app alone, and the same on every connect, as LinkedIn and TikTok have it. */
export function appScopedId(
  provider: ProviderName,
  clientId: string,
  person: Person,
  characters: number,
): string {
  const digest = createHash("sha256").update(`${provider}\n${clientId}\n${person.name}`)
  return digest.digest("base64url").replaceAll("-", "A").slice(0, characters)
}

/** Likewise, in digits, as Meta has it. */
export function appScopedNumber(provider: ProviderName, clientId: string, person: Person): string {
  const digest = createHash("sha256").update(`${provider}\n${clientId}\n${person.name}`).digest()
  return `1${(digest.readBigUInt64BE() % 10n ** 15n).toString().padStart(15, "0")}`
}

/** LinkedIn's person id: the `sub` of the profile and the end of the member's URN. */
export function linkedinMemberId(grant: { readonly clientId: string; readonly person: PersonName }): string {
  return appScopedId("linkedin", grant.clientId, people[grant.person], 10)
}
