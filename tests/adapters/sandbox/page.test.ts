import { describe, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { type Scenario, scenariosOf } from "../../../src/adapters/sandbox/scenarios.ts"
import { providerNames, providerTitle } from "../../../src/domain/provider.ts"
import {
  ask,
  authorizeAddress,
  callbackOf,
  get,
  openSandbox,
  press,
  profileCall,
  publicUrl,
  state,
  tokenCall,
} from "./harness.ts"

describe("the consent page", () => {
  test.each(providerNames)(
    "names the app, the scopes, where it leads, and that it is not real: %s",
    async (provider) => {
      const response = await get(openSandbox(), authorizeAddress(provider))
      const page = await response.text()
      expect(response.status).toBe(200)
      expect(page).toContain(`Sandbox — not the real ${providerTitle[provider]}.`)
      expect(page).toContain("No account is touched.")
      expect(page).toContain("<code>made-up-client</code>")
      expect(page).toContain("<code>127.0.0.1:3000</code>")
      for (const person of ["Ann Dev", "Ben Okafor", "Cleo Marsh", "Dora Quiet"])
        expect(page).toContain(person)
      const scopes = authorizeAddress(provider).searchParams.get("scope")?.split(/[ ,]/) ?? []
      expect(scopes.length).toBeGreaterThan(1)
      for (const scope of scopes) expect(page).toContain(`<code>${scope}</code>`)
    },
  )

  test.each(providerNames)("has ticks only where consent can be partial: %s", async (provider) => {
    const page = await (await get(openSandbox(), authorizeAddress(provider))).text()
    expect(page.includes('type="checkbox"')).toBe(!["x", "linkedin"].includes(provider))
  })

  test("offers to untick only what the app asks for", async () => {
    const page = await (
      await get(openSandbox(), authorizeAddress("tiktok", { scope: "user.info.basic" }))
    ).text()
    expect(page).toContain('value="untick:user.info.basic"')
    expect(page).not.toContain("video.upload")
  })

  test("has neither scripts nor anything from elsewhere", async () => {
    const page = await (await get(openSandbox(), authorizeAddress("facebook"))).text()
    expect(page).not.toMatch(/<script|<img|<link|<iframe|\son\w+=|\ssrc=|\shref=|@import|url\(/i)
  })

  test.each([
    ["the page", authorizeAddress("x"), 200],
    ["a redirect", authorizeAddress("x", { scenario: "approve" }), 302],
    ["a refusal", authorizeAddress("x", { client_id: undefined }), 400],
    ["a stranger", new URL(`${publicUrl}/sandbox/myspace/authorize`), 404],
  ])("%s is kept out of caches, frames, referrers and search engines", async (_, url, status) => {
    const response = await get(openSandbox(), url)
    expect(response.status).toBe(status)
    expect(response.headers.get("cache-control")).toBe("no-store")
    expect(response.headers.get("referrer-policy")).toBe("no-referrer")
    expect(response.headers.get("x-content-type-options")).toBe("nosniff")
    expect(response.headers.get("x-robots-tag")).toBe("noindex")
    const policy = response.headers.get("content-security-policy")
    const parts = [
      "default-src 'none'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
      "form-action http: https:",
    ]
    for (const part of parts) {
      expect(policy).toContain(part)
    }
    const style = /<style>(.*)<\/style>/s.exec(await response.text())?.[1]
    if (status !== 302) {
      const hash = createHash("sha256")
        .update(style ?? "")
        .digest("base64")
      expect(policy).toContain(`style-src 'sha256-${hash}'`)
    }
  })

  test.each([
    "redirect_uri",
    "client_id",
    "scope",
    "state",
    "code_challenge",
    "scenario",
    "person",
    "untick",
    "expires_in",
    "refresh_expires_in",
    "delay_ms",
    "pages",
    "made_up<i>&\"'",
  ])("shows no markup that came in as %s", async (name) => {
    const box = openSandbox()
    const attack = `"><script>alert('x')</script><b a='`
    for (const provider of providerNames) {
      const url = authorizeAddress(provider)
      const own = name === "client_id" && provider === "tiktok" ? "client_key" : name
      url.searchParams.set(own, attack)
      if (name.startsWith("made_up")) url.searchParams.append(own, attack)
      const page = await (await get(box, url)).text()
      expect(page).toContain("</main>")
      expect(page).not.toMatch(/<script|<b a=|<i>/)
    }
  })

  test("shows the odd name as it is, and not as markup", async () => {
    const page = await (await get(openSandbox(), authorizeAddress("x"))).text()
    expect(page).toContain("Zoë &quot;Zed&quot; O&#39;Hara 🦊 &lt;html&gt;&amp;amp;")
    expect(page).not.toContain("<html>&")
  })
})

describe("the page's scenarios", () => {
  test.each(providerNames)("stand in three groups, by when they strike: %s", async (provider) => {
    const page = await (await get(openSandbox(), authorizeAddress(provider))).text()
    const group = (title: string) => {
      const [, listed = ""] = new RegExp(`<h3>${title}</h3>\\n<ul>(.*?)</ul>`, "s").exec(page) ?? []
      return [...listed.matchAll(/name="scenario" value="([^"]+)"/g)].map(([, name]) => name)
    }
    const names = (isIn: (scenario: Scenario) => boolean) =>
      scenariosOf(provider)
        .filter(({ name }) => name !== "approve" && name !== "decline")
        .filter(isIn)
        .map(({ name }) => name)
    expect(group("Fails")).toEqual(names(({ ends }) => ends !== "connected"))
    expect(group("Connects, but not as usual")).toEqual(
      names(({ ends, later }) => ends === "connected" && later === undefined),
    )
    expect(group("Connects, and fails later")).toEqual(names(({ later }) => later !== undefined))
    expect(group("Connects, and fails later").length).toBeGreaterThan(0)
    for (const { later } of scenariosOf(provider)) {
      if (later) expect(page).toContain(later.replaceAll("'", "&#39;"))
    }
  })
})

describe("the page's form", () => {
  test("continues as the person whose button it was", async () => {
    const box = openSandbox()
    const response = await press(box, authorizeAddress("linkedin"), new URLSearchParams({ person: "zoe" }))
    expect(response.status).toBe(302)
    const location = new URL(response.headers.get("location") ?? "")
    expect(`${location.origin}${location.pathname}`).toBe(callbackOf("linkedin"))
    expect(location.searchParams.get("state")).toBe(state)
    const answer = await ask(box, tokenCall("linkedin", location.searchParams.get("code") ?? ""))
    const profile = await ask(box, profileCall("linkedin", String(answer.body.access_token)))
    expect(profile.body.name).toBe(`Zoë "Zed" O'Hara 🦊 <html>&amp;`)
  })

  test("grants what is ticked, and nothing where nothing is", async () => {
    const box = openSandbox()
    const scopes = async (granted: readonly string[]) => {
      const form = new URLSearchParams([
        ["ticks", "shown"],
        ["person", "ann"],
        ...granted.map((scope) => ["granted", scope]),
      ])
      const response = await press(box, authorizeAddress("tiktok"), form)
      return new URL(response.headers.get("location") ?? "").searchParams.get("scopes")
    }
    expect(await scopes(["user.info.basic", "video.publish"])).toBe("user.info.basic,video.publish")
    expect(await scopes(["user.info.basic", "never.asked.for"])).toBe("user.info.basic")
    expect(await scopes([])).toBe("")
  })

  test("declines no scope where consent is whole", async () => {
    const box = openSandbox()
    const form = new URLSearchParams({ ticks: "shown", person: "ann" })
    const response = await press(box, authorizeAddress("x"), form)
    const code = new URL(response.headers.get("location") ?? "").searchParams.get("code")
    const { body } = await ask(box, tokenCall("x", code ?? ""))
    expect(body.scope).toBe("tweet.read tweet.write users.read media.write offline.access")
  })

  test("unticks beforehand what the query names", async () => {
    const page = await (
      await get(openSandbox(), authorizeAddress("tiktok", { untick: "video.upload" }))
    ).text()
    expect(page).toContain('value="video.upload">')
    expect(page).toContain('value="video.publish" checked>')
  })

  test("is a form and a small one", async () => {
    const box = openSandbox()
    const post = async (type: string, body: string) => {
      const request = new Request(authorizeAddress("x"), {
        method: "POST",
        headers: { "content-type": type },
        body,
      })
      return (await box.handle(request))?.status
    }
    expect(await post("application/json", "{}")).toBe(415)
    expect(await post("application/x-www-form-urlencoded", `person=${"a".repeat(20_000)}`)).toBe(413)
    expect(await post("application/x-www-form-urlencoded; charset=utf-8", "person=ann")).toBe(302)
  })
})

describe("what the sandbox serves", () => {
  test("is its own paths alone", async () => {
    const box = openSandbox()
    for (const path of ["/", "/sandbox", "/v1/oauth/x/callback", "/sandboxes/x/authorize"]) {
      expect(await box.handle(new Request(`${publicUrl}${path}`))).toBeUndefined()
    }
    for (const path of ["/sandbox/", "/sandbox/myspace/authorize", "/sandbox/x", "/sandbox/x/authorize/"]) {
      expect((await get(box, `${publicUrl}${path}`)).status).toBe(404)
    }
  })

  test.each(["HEAD", "PUT", "DELETE", "OPTIONS"])("not by %s", async (method) => {
    const response = await get(openSandbox(), authorizeAddress("x", { scenario: "approve" }), method)
    expect(response.status).toBe(405)
    expect(response.headers.get("allow")).toBe("GET, POST")
    expect(response.headers.get("location")).toBeNull()
  })

  test("a provider's authorize address becomes the page's, its query byte for byte", () => {
    const real = new URL(
      "https://x.com/i/oauth2/authorize?scope=a%20b&state=~%2F!&redirect_uri=http%3A%2F%2Fa",
    )
    expect(openSandbox().authorizeUrl("x", real).href).toBe(`${publicUrl}/sandbox/x/authorize${real.search}`)
  })
})

describe("a request the provider would not serve", () => {
  const needed = {
    x: ["client_id", "redirect_uri", "response_type", "scope", "state", "code_challenge"],
    linkedin: ["client_id", "redirect_uri", "response_type", "scope", "state"],
    tiktok: ["client_key", "redirect_uri", "response_type", "scope", "state"],
    facebook: ["client_id", "redirect_uri"],
    instagram: ["client_id", "redirect_uri", "response_type", "scope"],
  } as const
  const cases = providerNames.flatMap((provider) => needed[provider].map((name) => [provider, name] as const))

  test.each(cases)("%s without %s ends on a page that names it", async (provider, name) => {
    const url = authorizeAddress(provider, { [name]: undefined, scenario: "approve" })
    const response = await get(openSandbox(), url)
    expect(response.status).toBe(400)
    expect(await response.text()).toContain(`${name} is missing`)
  })

  test.each(providerNames)("%s with a parameter twice, or another response_type", async (provider) => {
    const box = openSandbox()
    const twice = authorizeAddress(provider, { scenario: "approve" })
    twice.searchParams.append("redirect_uri", "https://example.test/")
    expect(await (await get(box, twice)).text()).toContain("redirect_uri is given more than once")
    const implicit = await get(
      box,
      authorizeAddress(provider, { response_type: "token", scenario: "approve" }),
    )
    expect([implicit.status, await implicit.text()]).toEqual([
      400,
      expect.stringContaining("response_type must be code"),
    ])
  })

  test.each([
    "https://example.test/v1/oauth/x/callback",
    "http://127.0.0.1:3000/v1/oauth/x/callback/",
    "http://127.0.0.1:3000/v1/oauth/x/callback?next=1",
    "http://127.0.0.1:3000/v1/oauth/tiktok/callback",
    "http://127.0.0.1:3000@example.test/v1/oauth/x/callback",
    "http://127.0.0.1:3000/V1/oauth/x/callback",
    "//example.test",
    "javascript:alert(1)",
  ])("never redirects to %s", async (redirect_uri) => {
    const box = openSandbox()
    for (const scenario of ["approve", "decline", "callback_without_code"]) {
      const response = await get(box, authorizeAddress("x", { redirect_uri, scenario }))
      expect([response.status, response.headers.get("location")]).toEqual([400, null])
    }
  })
})
