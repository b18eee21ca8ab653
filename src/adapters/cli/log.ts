import pino, { type LogFn, type Logger } from "pino"
import pretty from "pino-pretty"
import { gatheredLines } from "./gathered-lines.ts"

export type Log = Pick<Logger, "debug" | "info" | "warn" | "error">

/** One JSON object a line; on a terminal the same, made readable. */
export function openLog(level: "debug" | "info" | "warn" | "error" | "silent"): Log {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  }
  if (process.stdout.isTTY)
    return pino(options, pretty({ sync: true, ignore: "request_id", singleLine: true }))
  // Not pino's own destination: where nobody reads any more, or the disk is full, that tries for ever.
  const lines = gatheredLines(1)
  return pino({ ...options, hooks: { logMethod: flushingFaults(lines.flush) } }, lines)
}

/** Of pino: `warn`, and all that is worse. */
const warnLevel = 40

/** Whoever dies of a fault must have told of it. */
function flushingFaults(flush: () => void) {
  return function logMethod(this: Logger, args: Parameters<LogFn>, method: LogFn, level: number): void {
    method.apply(this, args)
    if (level >= warnLevel) flush()
  }
}

/**
 * What a fault may say in the log. Messages and stacks are written by libraries that know nothing of our
 * secrets, so everything that has the shape of one is taken out.
 */
export function faultFacts(fault: unknown): {
  readonly fault: string
  readonly message: string
  readonly stack?: string
} {
  if (!(fault instanceof Error)) return { fault: typeof fault, message: scrub(String(fault)) }
  const facts = { fault: fault.name, message: scrub(fault.message) }
  return fault.stack ? { ...facts, stack: scrub(fault.stack) } : facts
}

const secretShapes: readonly RegExp[] = [
  /moor_(live|test)_\w+/g,
  /\beyJ[\w-]+\.[\w-]+\.[\w-]*/g,
  /\bwhsec_[\w+/=]+/g,
  /\bv1\.[\w-]{1,32}\.[\w-]{20,}/g,
  /\b(bearer|basic) [\w+/=.~-]+/gi,
  /(?<=:\/\/)[^\s/@]+@/g,
  /(?<=[?&](code|state|connect_code|ticket)=)[^&\s]+/g,
  // As a form, as JSON, or as JSON within a text.
  /(?<=\b(client_secret|access_token|refresh_token|id_token|fb_exchange_token|code_verifier)\\?["']?\s*[:=]\s*)(\\?"[^"]*"|'[^']*'|[^\s"'&,;}]+)/g,
]

export function scrub(text: string): string {
  return secretShapes.reduce((clean, shape) => clean.replace(shape, "[redacted]"), text).slice(0, 4000)
}
