import { describe, expect, test } from "bun:test"
import { type Transport, TransportFault } from "../../../src/ports/transport.ts"
import { call, codeOf, limits, openSandbox, requestOf, tokenCall } from "./harness.ts"

async function faultOf(answer: ReturnType<Transport>): Promise<string> {
  const fault: unknown = await answer.then(
    () => "answered",
    (error: unknown) => error,
  )
  return fault instanceof TransportFault ? fault.kind : String(fault)
}

describe("the sandbox's transport", () => {
  test.each([
    "https://example.test/",
    "https://api.x.com.example.test/2/oauth2/token",
    "https://api.x.com:8443/2/oauth2/token",
    "http://api.x.com/2/oauth2/token",
    "file:///etc/hostname",
    "not an address",
    "",
  ])("reaches nothing but the providers' hosts: %p", async (url) => {
    expect(await faultOf(openSandbox().transport(requestOf({ url }), limits))).toBe("unreachable")
  })

  test("a call that hangs ends when its own time is up", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "x", { scenario: "hang" })
    const startedAt = performance.now()
    expect(await faultOf(call(box, tokenCall("x", code), { ...limits, timeoutMs: 30 }))).toBe("timeout")
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(25)
  })

  test("an answer over the limit is too large, whatever the scenario", async () => {
    const box = openSandbox()
    const asked = tokenCall("x", await codeOf(box, "x"))
    expect(await faultOf(call(box, asked, { ...limits, maxBytes: 100 }))).toBe("too_large")
    const huge = tokenCall("x", await codeOf(box, "x", { scenario: "huge" }))
    expect(await faultOf(call(box, huge))).toBe("too_large")
  })

  test("a broken connection is unreachable", async () => {
    const box = openSandbox()
    const code = await codeOf(box, "tiktok", { scenario: "unreachable" })
    expect(await faultOf(call(box, tokenCall("tiktok", code)))).toBe("unreachable")
  })

  test("what is in front of the API answers in no provider's form", async () => {
    const box = openSandbox()
    const answer = async (scenario: string) =>
      call(box, tokenCall("facebook", await codeOf(box, "facebook", { scenario })))
    expect(await answer("html")).toMatchObject({
      status: 200,
      headers: { "content-type": "text/html; charset=utf-8" },
    })
    const cutOff = (await answer("not_json")).body
    expect(() => JSON.parse(cutOff)).toThrow()
    expect(await answer("redirect")).toMatchObject({
      status: 302,
      headers: { location: "https://sandbox.invalid/elsewhere" },
    })
    expect((await answer("provider_down")).status).toBe(503)
  })

  test("a body that is no form has no fields", async () => {
    const box = openSandbox()
    const request = requestOf(tokenCall("linkedin", await codeOf(box, "linkedin")))
    const { status } = await box.transport(
      { ...request, headers: { "content-type": "application/json" } },
      limits,
    )
    expect(status).toBe(400)
  })
})
