import { describe, expect, test } from "bun:test"
import { createHmac } from "node:crypto"
import {
  ask,
  type Body,
  callbackOf,
  clientId,
  clientSecret,
  codeOf,
  comeBack,
  connected,
  longLivedCall,
  type OpenSandbox,
  openSandbox,
  profileCall,
  tokenCall,
} from "./harness.ts"

const graph = "https://graph.facebook.com/v25.0"
const pageFields = "id,name,username,access_token,tasks,picture.type(large){url}"

interface PageList {
  readonly data: readonly Body[]
  readonly paging?: { readonly next?: string }
}

async function pagesAt(box: OpenSandbox, path: string, token: string): Promise<PageList> {
  const { body } = await ask(box, { url: `${graph}${path}?fields=${pageFields}&limit=100`, bearer: token })
  return body as unknown as PageList
}

/** Every Page of a list, `paging.next` followed. */
async function allPages(box: OpenSandbox, path: string, token: string): Promise<readonly Body[]> {
  const found: Body[] = []
  let list = await pagesAt(box, path, token)
  for (let guard = 0; guard < 20; guard++) {
    found.push(...list.data)
    const next = list.paging?.next
    if (!next) return found
    list = (await ask(box, { url: next })).body as unknown as PageList
  }
  throw new Error("the list never ends")
}

describe("Facebook's token calls", () => {
  test("a code becomes a short token, and that a long one, by POST and by GET", async () => {
    const box = openSandbox()
    const first = await ask(box, tokenCall("facebook", await codeOf(box, "facebook")))
    expect(first).toEqual({
      status: 200,
      body: { access_token: expect.stringContaining("sandbox"), token_type: "bearer", expires_in: 3600 },
    })
    const second = longLivedCall("facebook", String(first.body.access_token))
    const query = new URLSearchParams(
      Object.entries(second?.form ?? {}).map(([name, value]) => [name, value ?? ""]),
    )
    for (const asked of [second, { url: `${second?.url}?${query}` }]) {
      const { status, body } = await ask(box, asked ?? { url: "" })
      expect(status).toBe(200)
      expect(body).toEqual({
        access_token: expect.stringContaining("sandbox"),
        token_type: "bearer",
        expires_in: 5_184_000,
      })
    }
  })

  test("errors are nested", async () => {
    const box = openSandbox()
    const errorOf = async (code: string, changes: Record<string, string | undefined> = {}) => {
      const { status, body } = await ask(box, tokenCall("facebook", code, changes))
      expect(status).toBe(400)
      return body.error
    }
    const code = await codeOf(box, "facebook")
    expect(await errorOf(code, { client_secret: "wrong-secret" })).toMatchObject({
      message: "Error validating client secret.",
      type: "OAuthException",
      code: 1,
      fbtrace_id: expect.any(String),
    })
    expect(await errorOf(code, { client_id: undefined })).toMatchObject({ code: 101 })
    expect(await errorOf(code, { redirect_uri: callbackOf("x") })).toMatchObject({ error_subcode: 36008 })
    expect(await errorOf("made-up")).toMatchObject({
      code: 100,
      message: "Invalid verification code format.",
    })
    await ask(box, tokenCall("facebook", code))
    expect(await errorOf(code)).toMatchObject({ code: 100, error_subcode: 36009 })
    const old = await codeOf(box, "facebook")
    box.pass(600)
    expect(await errorOf(old)).toMatchObject({ code: 100, error_subcode: 36007 })
  })

  test("an ended short token cannot be lengthened", async () => {
    const box = openSandbox()
    const first = await ask(box, tokenCall("facebook", await codeOf(box, "facebook")))
    box.pass(3600)
    const asked = longLivedCall("facebook", String(first.body.access_token))
    const { body } = await ask(box, asked ?? { url: "" })
    expect(body.error).toMatchObject({ code: 190, error_subcode: 463 })
  })
})

describe("Facebook's person", () => {
  test("is app-scoped, with the fields that were asked for", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const { body } = await ask(box, profileCall("facebook", token))
    expect(body).toEqual({
      id: expect.stringMatching(/^\d{16}$/),
      name: "Ann Dev",
      picture: {
        data: { height: 50, is_silhouette: false, url: "https://sandbox.invalid/avatar/ann.png", width: 50 },
      },
    })
    expect(Object.keys((await ask(box, { url: `${graph}/me`, bearer: token })).body)).toEqual(["id", "name"])
  })

  test("lists what was granted and what was declined", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", { untick: "pages_manage_posts" })
    const { body } = await ask(box, { url: `${graph}/me/permissions`, bearer: token })
    expect(body.data).toContainEqual({ permission: "pages_manage_posts", status: "declined" })
    expect(body.data).toContainEqual({ permission: "pages_show_list", status: "granted" })
    expect(body.data).toContainEqual({ permission: "public_profile", status: "granted" })
  })

  test("can take the app away, Pages and all", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const [page] = await allPages(box, "/me/accounts", token)
    const removed = await ask(box, { method: "DELETE", url: `${graph}/me/permissions`, bearer: token })
    expect(removed).toEqual({ status: 200, body: { success: true } })
    for (const dead of [token, String(page?.access_token)]) {
      const { body } = await ask(box, { url: `${graph}/me?access_token=${dead}` })
      expect(body.error).toMatchObject({ code: 190, error_subcode: 458 })
    }
  })
})

describe("Facebook's Pages", () => {
  test("come over several answers, none twice, none left out", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", { person: "cleo" })
    expect((await pagesAt(box, "/me/accounts", token)).data).toHaveLength(2)
    const pages = await allPages(box, "/me/accounts", token)
    expect(pages.map((page) => page.name)).toEqual([
      "Marsh Books",
      "Marsh Coffee",
      "Marsh Events",
      "Marsh Gallery",
      "Marsh Press",
    ])
    expect(pages[0]).toEqual({
      id: "102030405060711",
      name: "Marsh Books",
      username: "marshbooks",
      access_token: expect.stringContaining("sandbox_page"),
      tasks: expect.arrayContaining(["CREATE_CONTENT"]),
      picture: { data: expect.objectContaining({ url: expect.stringMatching(/^https:/) }) },
    })
    expect(pages[2]).not.toHaveProperty("username")
  })

  test("a Page's token outlives the person's long-lived one, and is for that Page alone", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", { person: "cleo" })
    const [first, second] = await allPages(box, "/me/accounts", token)
    box.pass(61 * 86_400)
    const read = (path: string) =>
      ask(box, { url: `${graph}${path}?fields=name&access_token=${first?.access_token}` })
    expect((await read(`/${first?.id}`)).body).toEqual({ id: first?.id, name: "Marsh Books" })
    expect((await read("/me")).body).toEqual({ id: first?.id, name: "Marsh Books" })
    expect((await read(`/${second?.id}`)).body.error).toMatchObject({ code: 100, error_subcode: 33 })
    expect((await ask(box, profileCall("facebook", token))).body.error).toMatchObject({ code: 190 })
  })

  test("a Page's token from a short-lived one ends with it", async () => {
    const box = openSandbox()
    const short = await ask(box, tokenCall("facebook", await codeOf(box, "facebook")))
    const [page] = await allPages(box, "/me/accounts", String(short.body.access_token))
    box.pass(3600)
    const { body } = await ask(box, { url: `${graph}/me?access_token=${page?.access_token}` })
    expect(body.error).toMatchObject({ code: 190, error_subcode: 463 })
  })

  test("of a portfolio are found there, owned and client ones, and nowhere else", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", { scenario: "business_pages" })
    expect(await allPages(box, "/me/accounts", token)).toEqual([])
    const [business] = await allPages(box, "/me/businesses", token)
    const owned = await allPages(box, `/${business?.id}/owned_pages`, token)
    const client = await allPages(box, `/${business?.id}/client_pages`, token)
    expect([owned.length, client.length]).toEqual([3, 2])
    expect(owned[0]?.access_token).toStartWith("sandbox_page")
  })

  test("of a portfolio need business_management", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", { scenario: "untick:business_management" })
    const { status, body } = await ask(box, { url: `${graph}/me/businesses`, bearer: token })
    expect([status, body.error]).toMatchObject([403, { code: 200 }])
  })

  test("stay away without pages_show_list, without a Page, and without the right to publish", async () => {
    const box = openSandbox()
    const pagesIn = async (changes: Record<string, string>) =>
      allPages(box, "/me/accounts", await connected(box, "facebook", changes))
    expect(await pagesIn({ untick: "pages_show_list" })).toEqual([])
    expect(await pagesIn({ scenario: "no_publishable_account" })).toEqual([])
    const [page] = await pagesIn({ scenario: "pages_without_content" })
    expect(page?.tasks).toEqual(["ANALYZE"])
  })
})

describe("Facebook's Graph", () => {
  test("takes an appsecret_proof that fits and refuses one that does not", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const proof = createHmac("sha256", clientSecret).update(token).digest("hex")
    const wrong = createHmac("sha256", "another-made-up-secret").update(token).digest("hex")
    const read = async (given: string) =>
      ask(box, { url: `${graph}/me?fields=id&appsecret_proof=${given}`, bearer: token })
    expect((await read(proof)).status).toBe(200)
    expect((await read(wrong)).body.error).toMatchObject({ code: 100, type: "GraphMethodException" })
    expect((await read("made-up")).status).toBe(400)
  })

  test("judges the form alone of a Page token's proof", async () => {
    const box = openSandbox()
    const [page] = await allPages(box, "/me/accounts", await connected(box, "facebook"))
    const read = async (given: string) =>
      (await ask(box, { url: `${graph}/me?appsecret_proof=${given}`, bearer: String(page?.access_token) }))
        .status
    expect(await read("0".repeat(64))).toBe(200)
    expect(await read("0")).toBe(400)
  })

  test("tells what a token is", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const url = `${graph}/debug_token?input_token=${token}&access_token=${clientId}|${clientSecret}`
    expect((await ask(box, { url })).body.data).toMatchObject({
      app_id: clientId,
      type: "USER",
      is_valid: true,
      scopes: expect.arrayContaining(["pages_show_list"]),
    })
    expect((await ask(box, { url: `${graph}/debug_token?input_token=${token}` })).status).toBe(400)
  })

  test("knows no other paths, and nobody without a token", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    const errorAt = async (path: string, bearer?: string) =>
      (await ask(box, { url: `${graph}${path}`, ...(bearer ? { bearer } : {}) })).body.error
    expect(await errorAt("/me/nothing", token)).toMatchObject({ code: 2500 })
    expect(await errorAt("/me")).toMatchObject({ code: 2500 })
    expect(await errorAt("/me", "made-up")).toMatchObject({ code: 190 })
    expect(await errorAt("/99999999", token)).toMatchObject({ code: 100, error_subcode: 33 })
  })

  test("serves every version, and none", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook")
    for (const base of ["https://graph.facebook.com/v19.0", "https://graph.facebook.com"]) {
      expect((await ask(box, { url: `${base}/me`, bearer: token })).status).toBe(200)
    }
  })
})

describe("Facebook's authorize page", () => {
  test("comes back with its own fragment, and its own words for no", async () => {
    const box = openSandbox()
    const back = await comeBack(box, "facebook", { scenario: "decline" })
    expect(Object.fromEntries(back)).toMatchObject({
      error: "access_denied",
      error_code: "200",
      error_reason: "user_denied",
      error_description: "Permissions error",
    })
  })

  test("a configuration stands for its permissions and is granted as a whole", async () => {
    const box = openSandbox()
    const token = await connected(box, "facebook", { scope: undefined, config_id: "1234567890" })
    expect(await allPages(box, "/me/accounts", token)).toHaveLength(1)
    const withUntick = { scope: undefined, config_id: "1234567890", untick: "pages_show_list" }
    await expect(codeOf(box, "facebook", withUntick)).rejects.toThrow("answered 400")
  })
})
