import { writeSync } from "node:fs"

/** A write to the operating system for each line would cost as much as the line itself. */
const gatheredCharacters = 64 * 1024
const gatherMs = 20
/** What waits for a slow reader; what comes beyond it is dropped, since a log must not take the memory of its service. */
const mostWaitingBytes = 1024 * 1024

export interface GatheredLines {
  write(line: string): void
  /** Hands over what was gathered, as far as it is taken now. */
  flush(): void
}

/**
 * Lines to a file descriptor, many in one write. A reader that is gone, or a disk that is full, loses lines and
 * never stops the service; a slow reader gets them later.
 */
export function gatheredLines(descriptor: number): GatheredLines {
  let lines = ""
  let waiting = Buffer.alloc(0)

  function flush(): void {
    if (lines !== "" && waiting.length < mostWaitingBytes) {
      const bytes = Buffer.from(lines)
      waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes])
    }
    lines = ""
    try {
      while (waiting.length > 0) waiting = waiting.subarray(writeSync(descriptor, waiting))
    } catch (fault) {
      if (!isSlow(fault)) waiting = Buffer.alloc(0)
    }
  }

  setInterval(flush, gatherMs).unref()
  process.on("exit", flush)
  return {
    write(line) {
      lines += line
      if (lines.length >= gatheredCharacters) flush()
    },
    flush,
  }
}

function isSlow(fault: unknown): boolean {
  return fault instanceof Error && "code" in fault && (fault.code === "EAGAIN" || fault.code === "EINTR")
}
