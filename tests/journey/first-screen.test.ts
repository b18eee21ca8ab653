import { afterAll, beforeAll, expect, test } from "bun:test"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { openBrowser } from "../support/browser.ts"
import { freePort, makeFolder } from "../support/service.ts"

const root = join(import.meta.dir, "../..")
const readme = readFileSync(join(root, "README.md"), "utf8")

/** The shell of the first screen, in its order; it ends where the contents begin. */
const firstScreen = readme.slice(0, readme.indexOf("Contents:"))
const lines = [...firstScreen.matchAll(/```sh\n([\s\S]*?)```/g)].map((block) => (block[1] ?? "").trim())

let folder: string
let clone: string
const port = freePort()
const running: ReturnType<typeof Bun.spawn>[] = []

/** What a newcomer has: Node, npm, git, an empty home, and no Bun on the path. */
function newcomer(): Record<string, string> {
  const path = (process.env.PATH ?? "").split(":").filter((entry) => !existsSync(join(entry, "bun")))
  const node = dirname(Bun.which("node") ?? "/usr/bin/node")
  const home = join(folder, "home")
  mkdirSync(home, { recursive: true })
  const passed = Object.entries(process.env).filter(([name]) =>
    /^(https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|npm_config_registry)$/i.test(name),
  )
  return {
    ...Object.fromEntries(passed),
    PATH: [...new Set([...bunless(node), ...path])].join(":"),
    HOME: home,
    PORT: String(port),
  } as Record<string, string>
}

/** The folder of Node itself, or one with links to Node and npm alone where a Bun lies beside them. */
function bunless(node: string): readonly string[] {
  if (!existsSync(join(node, "bun"))) return [node]
  const links = join(folder, "bin")
  mkdirSync(links, { recursive: true })
  for (const name of ["node", "npm", "npx", "git", "sh", "env", "curl"]) {
    const found = Bun.which(name)
    if (found && !existsSync(join(links, name))) Bun.spawnSync(["ln", "-s", found, join(links, name)])
  }
  return [links]
}

beforeAll(() => {
  folder = makeFolder()
  clone = join(folder, "mooring")
  const tracked = Bun.spawnSync(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
  })
  for (const file of tracked.stdout.toString().split("\0").filter(Boolean)) {
    if (!existsSync(join(root, file))) continue
    mkdirSync(dirname(join(clone, file)), { recursive: true })
    cpSync(join(root, file), join(clone, file))
  }
})
afterAll(() => {
  for (const child of running) child.kill("SIGTERM")
  // Thousands of installed files: taken away beside the other tests, not before them.
  Bun.spawn(["rm", "-rf", folder], { stdio: ["ignore", "ignore", "ignore"] }).unref()
})

/** The lines of the README with this test's port, and nothing else changed. */
const here = (line: string) => line.replaceAll("localhost:3000", `localhost:${port}`)

test("the first screen is one command to start, one to get a key, and one call", () => {
  expect(lines).toHaveLength(3)
  expect(lines[0]).toBe("npm start")
  expect(lines[2]).toContain("/v1/oauth/x/start")
})

test("every line of it works on a machine with Node and npm alone, and ends on a page that says connected", async () => {
  const env = newcomer()
  const [start, key, call] = lines.map(here)
  const server = Bun.spawn(["sh", "-c", `exec ${start}`], {
    cwd: clone,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  })
  running.push(server)
  let output = ""
  void (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of server.stdout) output += decoder.decode(chunk, { stream: true })
  })()
  for (let tries = 0; tries < 1200 && !output.includes("Then open the authorize_url"); tries++) {
    if (server.exitCode !== null) throw new Error(`npm start ended with ${server.exitCode}: ${output}`)
    await Bun.sleep(100)
  }
  // Starting installs only what running needs.
  expect(readdirSync(join(clone, "node_modules"))).not.toContain("playwright-core")

  // The very line that was printed, pasted.
  const printed = output.split("\n").find((line) => line.trim().startsWith("curl ")) ?? ""
  const pasted = Bun.spawnSync(["sh", "-c", printed], { cwd: clone, env })
  expect(JSON.parse(pasted.stdout.toString())).toHaveProperty("flow_id")

  const answer = Bun.spawnSync(["sh", "-c", `${key}\n${call}`], { cwd: clone, env })
  const started = JSON.parse(answer.stdout.toString()) as { authorize_url: string }

  const browser = await openBrowser()
  try {
    const page = await browser.newPage()
    await page.goto(started.authorize_url)
    await page.getByRole("button", { name: "Ann Dev" }).click()
    await page.waitForURL(/\/callback\?/)
    expect(await page.locator("h1").textContent()).toBe("Your X account is connected")
  } finally {
    await browser.close()
  }

  // Stopping npm stops the server: nothing is left on the port.
  server.kill("SIGTERM")
  await server.exited
  await Bun.sleep(500)
  expect(
    await fetch(`http://localhost:${port}/healthz`).then(
      () => "open",
      () => "closed",
    ),
  ).toBe("closed")
}, 180_000)
