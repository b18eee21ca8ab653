import { afterEach, expect, test } from "bun:test"
import { openSync } from "node:fs"
import { join } from "node:path"
import { dropFolder, freePort, makeFolder } from "../support/service.ts"

const entry = join(import.meta.dir, "../../src/cli.ts")
const folders: string[] = []

afterEach(() => {
  for (const folder of folders.splice(0)) dropFolder(folder)
})

function serve(stdout: "pipe" | number) {
  const folder = makeFolder()
  folders.push(folder)
  const port = freePort()
  const env = { PATH: process.env.PATH ?? "", HOME: folder, PORT: String(port), NODE_ENV: "production" }
  const secrets = {
    PUBLIC_URL: "https://mooring.example",
    ENCRYPTION_KEYS: `k1:${Buffer.alloc(32, 7).toString("base64")}`,
    JWT_SECRET: "made-up-jwt-secret-of-32-bytes-or-more",
  }
  const child = Bun.spawn([process.execPath, entry, "serve"], {
    cwd: folder,
    env: { ...env, ...secrets, HOST: "127.0.0.1" },
    stdio: ["ignore", stdout, "ignore"],
  })
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(5000) }).then(
      ({ status }) => status,
      () => 0,
    )
  return { child, answers }
}

async function untilServing(answers: () => Promise<number>): Promise<void> {
  while ((await answers()) !== 200) await Bun.sleep(50)
}

/** A service that hung would not end by itself. */
async function endsOrderly(child: Bun.Subprocess): Promise<number> {
  child.kill("SIGTERM")
  const killed = setTimeout(() => child.kill("SIGKILL"), 15_000)
  const code = await child.exited
  clearTimeout(killed)
  return code
}

test("a service whose log nobody reads any more goes on, and stops when it is told to", async () => {
  const { child, answers } = serve("pipe")
  await untilServing(answers)
  await (child.stdout as ReadableStream).cancel()
  for (let i = 0; i < 5; i++) {
    expect(await answers()).toBe(200)
    await Bun.sleep(50)
  }
  expect(await endsOrderly(child)).toBe(0)
})

test("a service whose log has no room on the disk goes on, and stops when it is told to", async () => {
  const { child, answers } = serve(openSync("/dev/full", "w"))
  await untilServing(answers)
  expect(await answers()).toBe(200)
  expect(await endsOrderly(child)).toBe(0)
})
