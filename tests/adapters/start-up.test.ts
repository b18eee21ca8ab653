import { afterEach, expect, test } from "bun:test"
import { cpSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { dropFolder, freePort, makeFolder } from "../support/service.ts"

const root = join(import.meta.dir, "../..")
const folders: string[] = []
const children: Bun.Subprocess[] = []

afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL")
  for (const folder of folders.splice(0)) dropFolder(folder)
})

/** A process that serves in a folder of its own. */
function serve(command: (folder: string) => readonly string[]) {
  const folder = makeFolder()
  folders.push(folder)
  const port = freePort()
  const spawn = { cwd: folder, env: { PATH: process.env.PATH ?? "", HOME: folder, PORT: String(port) } }
  const child = Bun.spawn([...command(folder), "serve"], { ...spawn, stdio: ["ignore", "ignore", "pipe"] })
  children.push(child)
  return { child, spawn, url: `http://127.0.0.1:${port}` }
}

/** Has the runtime say how slow it is asked to be with compiling, each time it is. */
const spy = `
const { setJITPolicy } = Bun.unsafe
Bun.unsafe.setJITPolicy = (scale) => {
  console.error("slower to compile: " + scale)
  setJITPolicy(scale)
}
`

test("a service compiles as usual once its start is over", async () => {
  const { child } = serve((folder) => {
    const preload = join(folder, "spy.ts")
    writeFileSync(preload, spy)
    return [process.execPath, "--preload", preload, join(root, "src/cli.ts")]
  })
  const gaveUp = setTimeout(() => child.kill("SIGTERM"), 20_000)
  let told = ""
  for await (const chunk of child.stderr) {
    told += new TextDecoder().decode(chunk)
    if (told.includes("\n")) child.kill("SIGTERM")
  }
  clearTimeout(gaveUp)
  expect(told).toBe("slower to compile: 1\n")
  expect(await child.exited).toBe(0)
})

test("the single file serves, and has its commands and what is loaded late in it", async () => {
  const { child, spawn, url } = serve((folder) => {
    const file = join(folder, "mooring")
    const build = Bun.spawnSync([process.execPath, "run", "build", "--outfile", file], { cwd: root })
    expect(build.exitCode, build.stderr.toString()).toBe(0)
    return [file]
  })
  await untilReady(child, url)
  const keys = makeKeys([join(spawn.cwd, "mooring")], spawn)
  expect(await statuses(url, keys)).toEqual(allServed)
  child.kill("SIGTERM")
  expect(await child.exited).toBe(0)
})

test("a service whose start is over needs none of its files any more, so that another version may take their place", async () => {
  const { child, spawn, url } = serve((folder) => {
    cpSync(join(root, "src"), join(folder, "src"), { recursive: true })
    symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
    return [process.execPath, join(folder, "src/cli.ts")]
  })
  await untilReady(child, url)
  const keys = makeKeys([process.execPath, join(spawn.cwd, "src/cli.ts")], spawn)
  await Bun.sleep(startIsOverMs)
  rmSync(join(spawn.cwd, "src"), { recursive: true })
  expect(await statuses(url, keys)).toEqual(allServed)
})

/** Begins 1 s after the service listens, and then loads some ninety small files. */
const startIsOverMs = 3000

type Keys = Readonly<Record<"live" | "test", string>>

function makeKeys(command: readonly string[], spawn: { readonly cwd: string }): Keys {
  const make = (environment: string) => {
    const options = ["--tenant", "acme", "--environment", environment, "--name", "ci"]
    return Bun.spawnSync([...command, "api-keys", "create", ...options], spawn)
      .stdout.toString()
      .trim()
  }
  return { live: make("live"), test: make("test") }
}

/** Of what is loaded late: a start, its consent page, a call of management, and a start that has no live app. */
async function statuses(url: string, keys: Keys): Promise<readonly number[]> {
  const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } })
  const started = await fetch(`${url}/v1/oauth/x/start`, as(keys.test))
  const { authorize_url } = (await started.json()) as { authorize_url?: string }
  const consent = await fetch(authorize_url ?? url)
  const accounts = await fetch(`${url}/v1/accounts`, as(keys.test))
  const withoutApp = await fetch(`${url}/v1/oauth/x/start`, as(keys.live))
  return [started, consent, accounts, withoutApp].map(({ status }) => status)
}

const allServed = [200, 200, 200, 400]

async function untilReady(child: Bun.Subprocess, url: string): Promise<void> {
  while (child.exitCode === null && !(await answers(`${url}/readyz`))) await Bun.sleep(20)
}

const answers = (url: string) =>
  fetch(url).then(
    ({ ok }) => ok,
    () => false,
  )
