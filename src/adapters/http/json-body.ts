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
  return value
}

async function readBounded(request: Request): Promise<string> {
  const tooLarge = () =>
    new ConnectError("payload_too_large", `The body is larger than ${maxBodyBytes / 1024} KiB.`)
  if (Number(request.headers.get("content-length") ?? 0) > maxBodyBytes) throw tooLarge()
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of request.body ?? []) {
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

/** Level by level and not by recursion, since the body chooses the depth. */
function depthOf(value: object): number {
  let level: readonly unknown[] = [value]
  for (let depth = 0; ; depth++) {
    const inner = level.filter((item): item is object => typeof item === "object" && item !== null)
    if (inner.length === 0 || depth > maxDepth) return depth
    level = inner.flatMap((item) => Object.values(item))
  }
}
