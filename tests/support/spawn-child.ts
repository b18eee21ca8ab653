import { onTestFinished } from "bun:test"
import { join } from "node:path"

export interface Child {
  /** Waits for at least so many lines. Rejects where the output ends before. */
  lines(count: number): Promise<string[]>
  /** All further lines, once it has ended. */
  rest(): Promise<readonly string[]>
  /** Lets it do what it is there for. */
  go(): void
  /** As a machine dies: at once and with nothing said. Resolves when it is gone. */
  kill(): Promise<void>
}

/** Starts `storage-child.ts` on the storage of an address. It is gone when the test is. */
export function spawnChild(url: string, ...task: readonly string[]): Child {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "storage-child.ts"), url, ...task], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  })
  const kill = async () => {
    child.kill("SIGKILL")
    await child.exited
  }
  onTestFinished(kill)
  return {
    ...linesOf(child.stdout.pipeThrough(new TextDecoderStream()).getReader()),
    go() {
      child.stdin.write("go\n")
      child.stdin.flush()
    },
    kill,
  }
}

function linesOf(output: {
  read(): Promise<{ readonly done: boolean; readonly value?: string | undefined }>
}): Pick<Child, "lines" | "rest"> {
  let text = ""
  /** Takes the whole lines there are; what is left may be half a line. */
  function takeLines(): string[] {
    const lines = text.split("\n")
    text = lines.pop() ?? ""
    return lines
  }
  return {
    async lines(count) {
      const lines: string[] = []
      while (lines.length < count) {
        const { done, value = "" } = await output.read()
        if (done) throw new Error(`the child ended after ${lines.length} lines`)
        text += value
        lines.push(...takeLines())
      }
      return lines
    },
    async rest() {
      for (let chunk = await output.read(); !chunk.done; chunk = await output.read())
        text += chunk.value ?? ""
      return takeLines()
    },
  }
}
