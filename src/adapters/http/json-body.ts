import { ConnectError } from "../../domain/errors.ts"

export const maxBodyBytes = 64 * 1024
const maxDepth = 8

/** The JSON of a request, bounded in bytes and depth. Rejects with a `ConnectError` that never quotes the body. */
export async function readJson(request: Request): Promise<unknown> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase()
  if (type !== "application/json") {
    throw new ConnectError(
      "unsupported_media_type",
      "Send the body as JSON with Content-Type: application/json.",
    )
  }
  const text = await readBounded(request)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ConnectError("invalid_input", "The body is not valid JSON; check quotes, commas and brackets.")
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConnectError("invalid_input", "The body must be a JSON object.")
  }
  if (depthOf(value) > maxDepth)
    throw new ConnectError("invalid_input", `The body is nested deeper than ${maxDepth} levels.`)
  // The text came as UTF-8, so only an escape can make half a character, which no store could keep.
  if (/\\u[dD][89a-fA-F]/.test(text) && !isWellFormed(value))
    throw new ConnectError(
      "invalid_input",
      "The body has a \\u escape of half a character; write both surrogates, or the character itself.",
    )
  return value
}

/** The fields of a plain HTML form, bounded like every body. */
export async function readForm(request: Request): Promise<URLSearchParams> {
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase()
  if (type !== "application/x-www-form-urlencoded") {
    throw new ConnectError("unsupported_media_type", "This page takes its own form alone.")
  }
  return new URLSearchParams(await readBounded(request))
}

/** For what takes no body: rejects with `invalid_input` at the first byte of one, whatever its type. */
export async function refuseBody(request: Request): Promise<void> {
  for await (const chunk of chunksOf(request)) {
    if (chunk.byteLength > 0)
      throw new ConnectError("invalid_input", "This call takes no body; send it without one.")
  }
}

async function readBounded(request: Request): Promise<string> {
  const tooLarge = () =>
    new ConnectError("payload_too_large", `The body is larger than ${maxBodyBytes / 1024} KiB.`)
  if (Number(request.headers.get("content-length") ?? 0) > maxBodyBytes) throw tooLarge()
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of chunksOf(request)) {
    bytes += chunk.byteLength
    if (bytes > maxBodyBytes) throw tooLarge()
    chunks.push(chunk)
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new ConnectError("invalid_input", "The body is not valid UTF-8.")
  }
}

async function* chunksOf(request: Request): AsyncIterable<Uint8Array> {
  try {
    yield* request.body ?? []
  } catch {
    throw new ConnectError("invalid_input", "The body ended before it was whole; send it again.")
  }
}

/** By recursion, which {@link maxDepth} bounds. */
function isWellFormed(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed()
  if (typeof value !== "object" || value === null) return true
  return Object.entries(value).every(([name, item]) => name.isWellFormed() && isWellFormed(item))
}

/** Level by level and not by recursion, since the body chooses the depth. */
function depthOf(value: object): number {
  let level: readonly unknown[] = [value]
  for (let depth = 0; ; depth++) {
    const inner = level.filter((item): item is object => typeof item === "object" && item !== null)
    if (inner.length === 0 || depth > maxDepth) return depth
    level = inner.flatMap((item) => Object.values(item))
  }
}
