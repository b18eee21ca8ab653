import { describe, expect, test } from "bun:test"
import { keyScopes } from "../../src/domain/api-key.ts"
import { expectProblem, httpWorld, origin } from "../support/http-world.ts"

const world = httpWorld()
const key = world.key({ scopes: keyScopes })

/** Every call of the API but those that a person's browser makes, which providers may add to. */
const calls = world
  .routes()
  .filter(({ path }) => path.startsWith("/v1/") && !/^\/v1\/oauth\/:provider\/(callback|choose)$/.test(path))
  .map(({ method, path, hooks }) => ({
    method,
    path: path.replace(":provider", "x").replace(/:\w+/g, "none"),
    takesBody: Boolean(hooks.body),
  }))

describe.each(calls)("$method $path", ({ method, path, takesBody }) => {
  test("refuses a query field that it does not know, and names it", async () => {
    const as = await key
    const response = await world.call(method, `${path}?surprise=1`, { as, ...(takesBody && { body: {} }) })
    const problem = await expectProblem(response, 400, "invalid_input", {
      words: /is not a field of this call; check its spelling/,
    })
    expect(problem.errors?.map(({ field }) => field)).toContain("surprise")
    for (const query of ["?a&b=2&__proto__=x", `?${"n".repeat(2000)}`]) {
      const others = await world.call(method, path + query, { as, ...(takesBody && { body: {} }) })
      expect((await expectProblem(others, 400, "invalid_input")).detail.length).toBeLessThan(300)
    }
  })
})

const bodiless = calls.filter(({ method, takesBody }) => method === "POST" && !takesBody)

test("what is posted without a body is known", () => {
  expect(bodiless.map(({ path }) => path).sort()).toEqual([
    "/v1/accounts/none/refresh",
    "/v1/oauth-apps/none/check",
    "/v1/webhooks/none/deliveries/none/replay",
    "/v1/webhooks/none/rotate-secret",
    "/v1/webhooks/none/test",
  ])
})

describe.each(bodiless)("$method $path", ({ method, path }) => {
  const send = async (body: BodyInit | null, headers: Readonly<Record<string, string>> = {}) => {
    const authorization = `Bearer ${await key}`
    return world.edge(
      new Request(origin + path, { method, body, headers: { authorization, ...headers } }),
      () => "203.0.113.7",
    )
  }

  test.each(["application/json", "text/plain", "application/x-www-form-urlencoded", "no type"])(
    "refuses a body of %s",
    async (type) => {
      const headers = { "content-type": type }
      for (const body of ["{}", '{"force":true}', " ", "\0"]) {
        await expectProblem(await send(body, headers), 400, "invalid_input", { words: /takes no body/ })
      }
    },
  )

  test("takes an empty one for none", async () => {
    for (const type of ["application/json", "text/plain"]) {
      for (const body of ["", null, new Blob([]).stream()]) {
        await expectProblem(await send(body, { "content-type": type }), 404, "not_found")
      }
    }
  })

  test("reads no more of one than shows that there is one", async () => {
    let sent = 0
    const endless = new ReadableStream({
      pull(controller) {
        sent += 1024
        controller.enqueue(new Uint8Array(1024).fill(32))
      },
    })
    await expectProblem(await send(endless), 400, "invalid_input", { words: /takes no body/ })
    expect(sent).toBeLessThan(64 * 1024)
  })

  test("says of one that breaks off that it did", async () => {
    const broken = new ReadableStream({ start: (controller) => controller.error(new Error("reset")) })
    await expectProblem(await send(broken), 400, "invalid_input", { words: /ended before it was whole/ })
    expect(world.faultsSeen).toEqual([])
  })
})
