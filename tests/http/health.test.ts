import { expect, test } from "bun:test"
import { memoryStorage } from "../../src/adapters/memory/storage.ts"
import { expectProblem, httpWorld } from "../support/http-world.ts"

test("healthz and readyz answer without a credential, and with one they do not look at", async () => {
  const world = httpWorld()
  for (const call of [{}, { as: "moor_bad" }, { headers: { authorization: "nonsense" } }]) {
    const [healthy, ready] = [
      await world.call("GET", "/healthz", call),
      await world.call("GET", "/readyz", call),
    ]
    expect([healthy.status, await healthy.json()]).toEqual([200, { status: "ok" }])
    expect([ready.status, await ready.json()]).toEqual([200, { status: "ready" }])
  }
})

test("readyz is 503 with Retry-After while the store cannot answer, and healthz still 200", async () => {
  const storage = memoryStorage()
  const world = httpWorld({ storage })
  await storage.close()
  const response = await world.call("GET", "/readyz")
  expect(response.headers.get("retry-after")).toBe("5")
  await expectProblem(response, 503, "not_ready", {
    words: /database cannot be reached or the server is stopping/,
  })
  expect((await world.call("GET", "/healthz")).status).toBe(200)
  expect(world.faultsSeen).toEqual([])
})

test("readyz tells nothing of what is wrong, and is ready again when it is over", async () => {
  let down = true
  const world = httpWorld({
    ready: async () => {
      if (down) throw new Error("postgres://fake-user:fake-password@db refused")
    },
  })
  expect(await (await world.call("GET", "/readyz")).text()).not.toContain("fake")
  down = false
  expect((await world.call("GET", "/readyz")).status).toBe(200)
})
