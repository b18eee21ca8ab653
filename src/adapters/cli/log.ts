import { fstatSync } from "node:fs"
import { gatheredLines } from "./gathered-lines.ts"

const levels = ["debug", "info", "warn", "error"] as const
type Level = (typeof levels)[number]

/** What is known; `undefined` facts are left out. None is named `level`, `time` or `msg`, which each line has. */
export type Facts = Readonly<Record<string, string | number | boolean | null | undefined>>

export type Log = Readonly<Record<Level, (facts: Facts, message: string) => void>>

const standardOutput = 1

/** One JSON object a line; on a terminal the same, made readable. */
export function openLog(least: Level | "silent"): Log {
  const lines = gatheredLines(standardOutput)
  const format = isTerminal(standardOutput) ? readableLine : jsonLine
  const sayer = (level: Level) => {
    if (least === "silent" || levels.indexOf(level) < levels.indexOf(least)) return () => {}
    // Whoever dies of a fault must have told of it.
    const isFault = level === "warn" || level === "error"
    return (facts: Facts, message: string) => {
      lines.write(format(level, facts, message))
      if (isFault) lines.flush()
    }
  }
  return { debug: sayer("debug"), info: sayer("info"), warn: sayer("warn"), error: sayer("error") }
}

/** Or something else that keeps nothing. Not `process.stdout.isTTY`: to load streams and terminals took 18 ms of the start. */
function isTerminal(descriptor: number): boolean {
  return fstatSync(descriptor).isCharacterDevice()
}

export function jsonLine(level: Level, facts: Facts, message: string): string {
  const told = JSON.stringify(facts).slice(1, -1)
  return `{"level":"${level}","time":"${timeText(Date.now())}"${told && `,${told}`},"msg":${JSON.stringify(message)}}\n`
}

let lastTime = Number.NaN
let lastTimeText = ""

/** Kept for the lines of the same millisecond: to write a time costs as much as a third of a line. */
function timeText(time: number): string {
  if (time !== lastTime) {
    lastTime = time
    lastTimeText = new Date(time).toISOString()
  }
  return lastTimeText
}

const colours: Readonly<Record<Level, number>> = { debug: 34, info: 32, warn: 33, error: 31 }

/** Without what only a search needs. */
export function readableLine(level: Level, facts: Facts, message: string): string {
  const shown = Object.entries(facts).filter(([name, fact]) => name !== "request_id" && fact !== undefined)
  const told = shown.map(([name, fact]) => ` ${name}=${visible(JSON.stringify(fact))}`).join("")
  const time = new Date().toISOString().slice(11, 23)
  return `${time} \x1b[${colours[level]}m${level.padEnd(5)}\x1b[0m ${message}\x1b[2m${told}\x1b[0m\n`
}

/** JSON leaves alone what some terminals obey: C1 controls, and marks of direction. */
function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
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
