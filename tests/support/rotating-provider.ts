/** X's token and profile endpoints on loopback, with refresh tokens that work once and kill their family when reused. */
export interface RotatingProvider {
  readonly url: string
  /** How long a refresh takes to be answered, after it has had its effect. */
  answerDelayMs: number
  /** Lifetime of the access tokens it gives, in seconds. */
  expiresIn: number
  /** Refreshes that took effect. */
  readonly refreshes: number
  readonly familiesKilled: number
  /** The first tokens of a new family. */
  grant(person: string): { readonly accessToken: string; readonly refreshToken: string }
  /** Whether an access token is the newest of a family that lives. */
  works(accessToken: string): boolean
  stop(): Promise<void>
}

interface Family {
  readonly person: string
  generation: number
  alive: boolean
}

export function rotatingProvider(): RotatingProvider {
  const families = new Map<string, Family>()
  const counts = { refreshes: 0, killed: 0 }
  const token = (kind: "access" | "refresh", family: string, generation: number) =>
    `fake-${kind}.${family}.${generation}`
  const read = (text: string | null | undefined) => {
    const [kind, name = "", generation] = (text ?? "").split(".")
    const family = families.get(name)
    return family ? { kind, name, family, generation: Number(generation) } : undefined
  }

  async function refresh(body: URLSearchParams): Promise<Response> {
    const given = read(body.get("refresh_token"))
    if (given?.kind !== "fake-refresh" || !given.family.alive) return dead()
    if (given.generation !== given.family.generation) {
      given.family.alive = false
      counts.killed++
      return dead()
    }
    given.family.generation++
    counts.refreshes++
    const answer = {
      token_type: "bearer",
      expires_in: provider.expiresIn,
      access_token: token("access", given.name, given.family.generation),
      refresh_token: token("refresh", given.name, given.family.generation),
      scope: "tweet.read users.read offline.access",
    }
    await Bun.sleep(provider.answerDelayMs)
    return Response.json(answer)
  }

  const dead = () =>
    Response.json(
      { error: "invalid_request", error_description: "Value passed for the token was invalid." },
      { status: 400 },
    )

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 120,
    async fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === "/2/oauth2/token") return refresh(new URLSearchParams(await request.text()))
      if (pathname === "/2/users/me") {
        const given = read(request.headers.get("authorization")?.replace(/^Bearer /, ""))
        if (!given?.family.alive)
          return Response.json({ title: "Unauthorized", status: 401 }, { status: 401 })
        return Response.json({ data: { id: given.family.person, name: "Ann Dev", username: "anndev" } })
      }
      return Response.json({ title: "Not Found", status: 404 }, { status: 404 })
    },
  })

  const provider: RotatingProvider = {
    url: `http://127.0.0.1:${server.port}`,
    answerDelayMs: 0,
    expiresIn: 7200,
    get refreshes() {
      return counts.refreshes
    },
    get familiesKilled() {
      return counts.killed
    },
    grant(person) {
      const name = `${person}-${families.size}`
      families.set(name, { person, generation: 1, alive: true })
      return { accessToken: token("access", name, 1), refreshToken: token("refresh", name, 1) }
    },
    works(accessToken) {
      const given = read(accessToken)
      return (
        given !== undefined &&
        given.kind === "fake-access" &&
        given.family.alive &&
        given.generation === given.family.generation
      )
    },
    stop: () => server.stop(true),
  }
  return provider
}
