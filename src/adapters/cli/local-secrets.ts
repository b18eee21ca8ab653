import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"

/** The settings that an installation outside production makes for itself, as they would stand in its environment. */
export type LocalSecrets = Readonly<Record<"ENCRYPTION_KEYS" | "JWT_SECRET", string>>

export interface KeptSecrets {
  readonly secrets: LocalSecrets
  /** Whether they were made just now. */
  readonly made: boolean
}

/** Reads the secrets of this installation, making them on the first call; the file is its owner's alone (0600). */
export function keepLocalSecrets(path: string): KeptSecrets {
  const made = !existsSync(path) && makeFile(path)
  return { secrets: parse(path), made }
}

/** Under its name the file is whole or absent, whatever stops us. False where another process was quicker: its secrets are as good. */
function makeFile(path: string): boolean {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const draft = `${path}.${random(6).toHex()}`
  writeFileSync(draft, format(makeSecrets()), { mode: 0o600, flag: "wx" })
  try {
    linkSync(draft, path)
    return true
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false
    throw error
  } finally {
    unlinkSync(draft)
  }
}

/** For a store that is gone with its process, and so has no use for secrets that stay. */
export function makeSecrets(): LocalSecrets {
  return {
    ENCRYPTION_KEYS: `local1:${random(32).toBase64()}`,
    JWT_SECRET: random(36).toBase64({ alphabet: "base64url" }),
  }
}

const random = (count: number) => crypto.getRandomValues(new Uint8Array(count))

function format(secrets: LocalSecrets): string {
  return `# Made by Mooring on its first start. Without ENCRYPTION_KEYS the stored tokens cannot be read: keep this file.
ENCRYPTION_KEYS=${secrets.ENCRYPTION_KEYS}
JWT_SECRET=${secrets.JWT_SECRET}
`
}

function parse(path: string): LocalSecrets {
  const text = readFileSync(path, "utf8")
  const read = (name: keyof LocalSecrets): string => {
    const value = new RegExp(`^${name}=(.+)$`, "m").exec(text)?.[1]?.trim()
    if (!value)
      throw new Error(
        `${path} has no ${name}; restore the file, or remove it together with the database to begin anew.`,
      )
    return value
  }
  return { ENCRYPTION_KEYS: read("ENCRYPTION_KEYS"), JWT_SECRET: read("JWT_SECRET") }
}
