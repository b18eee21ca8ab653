import { describe, expect, spyOn, test } from "bun:test"
import { closeSync, constants, mkdtempSync, openSync, readSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gatheredLines } from "../../src/adapters/cli/gathered-lines.ts"
import { jsonLine, readableLine } from "../../src/adapters/cli/log.ts"

const log = join(import.meta.dir, "../../src/adapters/cli/log.ts")

describe("a line of the log", () => {
  test("has the time at which it was written", () => {
    const clock = spyOn(Date, "now")
    try {
      for (const time of [1000, 1000, 1001, 999]) {
        clock.mockReturnValue(time)
        expect(JSON.parse(jsonLine("info", {}, "x")).time).toBe(new Date(time).toISOString())
      }
    } finally {
      clock.mockRestore()
    }
  })

  test("is one JSON object with the level, the time, what is known and what happened", () => {
    const line = jsonLine("info", { status: 200, tenant: "two\nlines", actor: undefined }, "request")
    expect(line.split("\n")).toHaveLength(2)
    const { time, ...rest } = JSON.parse(line) as { readonly time: string }
    expect(rest).toEqual({ level: "info", status: 200, tenant: "two\nlines", msg: "request" } as object)
    expect(Math.abs(Date.now() - new Date(time).getTime())).toBeLessThan(5000)
    expect(time).toEndWith("Z")
  })

  test("reads on a terminal as a sentence, and no fact can write over it", () => {
    const line = readableLine(
      "warn",
      { request_id: "req_1", status: 200, tenant: "\x1b[2Kone\ntwo\x9b2K\u202e" },
      "request",
    )
    const [time, ...words] = Bun.stripANSI(line).trimEnd().split(" ")
    expect(time).toMatch(/^\d\d:\d\d:\d\d\.\d{3}$/)
    expect(words.join(" ")).toBe('warn  request status=200 tenant="\\u001b[2Kone\\ntwo\\u{9b}2K\\u{202e}"')
    expect(line.split("\n")).toHaveLength(2)
  })
})

describe("a log", () => {
  /** What a process writes that is killed right after it logged. */
  async function linesOf(level: string): Promise<readonly string[]> {
    const says = ["debug", "info", "warn", "error"].map((name) => `log.${name}({}, "${name}")`).join("; ")
    const script = `import { openLog } from "${log}"; const log = openLog("${level}"); ${says}; process.kill(process.pid, "SIGKILL")`
    const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] })
    const text = await new Response(child.stdout).text()
    await child.exited
    return text
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { readonly msg: string }).msg)
  }

  test.each([
    ["debug", ["debug", "info", "warn", "error"]],
    ["info", ["info", "warn", "error"]],
    ["warn", ["warn", "error"]],
    ["error", ["error"]],
    ["silent", []],
  ])(
    "of level %s has that and worse, and faults are out before the process can die of them",
    async (level, told) => {
      expect(await linesOf(level)).toEqual(told)
    },
  )
})

test("a slow reader gets each line once, whole and in order", () => {
  const fifo = join(mkdtempSync(join(tmpdir(), "mooring-fifo-")), "log")
  expect(Bun.spawnSync(["mkfifo", fifo]).exitCode).toBe(0)
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK)
  const lines = gatheredLines(writer)
  const sent = Array.from({ length: 4000 }, (_, i) => `${i} ${"\u00e9".repeat(i % 50)}\n`)
  for (const [i, line] of sent.entries()) {
    lines.write(line)
    if (i % 50 === 0) lines.flush()
  }
  const [chunk, got]: [Buffer, Buffer[]] = [Buffer.alloc(9001), []]
  for (let i = 0; i < 100; i++) {
    lines.flush()
    try {
      got.push(Buffer.from(chunk.subarray(0, readSync(reader, chunk))))
    } catch {} // nothing more
  }
  closeSync(reader)
  expect(Buffer.concat(got).toString()).toBe(sent.join(""))
})
