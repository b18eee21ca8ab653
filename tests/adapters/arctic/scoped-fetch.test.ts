import { afterEach, expect, test } from "bun:test"
import { installScopedFetch, nativeFetch, withinFetch } from "../../../src/adapters/arctic/scoped-fetch.ts"

afterEach(() => installScopedFetch()())

const saying = (text: string) => async (request: Request) =>
  new Response(`${text} ${request.method} ${request.url}`)

test("within a scope every fetch goes to it, however deep and however it was asked", async () => {
  installScopedFetch()
  const texts = await withinFetch(saying("scope"), async () => {
    await Bun.sleep(1)
    const answers = [
      await fetch("https://a.example/1"),
      await fetch(new URL("https://a.example/2"), { method: "POST" }),
      await fetch(new Request("https://a.example/3", { method: "DELETE" })),
    ]
    return Promise.all(answers.map((answer) => answer.text()))
  })
  expect(texts).toEqual([
    "scope GET https://a.example/1",
    "scope POST https://a.example/2",
    "scope DELETE https://a.example/3",
  ])
})

test("outside of any scope fetch is what it was", async () => {
  installScopedFetch()
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("native") })
  expect(await (await fetch(server.url)).text()).toBe("native")
  await server.stop(true)
})

test("two scopes at once keep apart", async () => {
  installScopedFetch()
  const ask = (name: string) =>
    withinFetch(saying(name), async () => {
      await Bun.sleep(Math.random() * 5)
      return (await fetch("https://a.example/")).text()
    })
  expect(await Promise.all(["one", "two", "one"].map(ask))).toEqual(
    ["one", "two", "one"].map((name) => `${name} GET https://a.example/`),
  )
})

test("installing twice installs once, and taking it out leaves fetch as it was", () => {
  const before = globalThis.fetch
  const uninstall = installScopedFetch()
  const installed = globalThis.fetch
  expect(installed).not.toBe(before)
  expect(installScopedFetch()).toBe(uninstall)
  expect(globalThis.fetch).toBe(installed)
  uninstall()
  expect(globalThis.fetch).toBe(before)
  expect(nativeFetch).toBe(before)
})
