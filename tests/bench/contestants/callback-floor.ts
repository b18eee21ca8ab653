/**
 * The floor of a callback: one request to the provider, or with `EXCHANGE` the two that a callback makes, and a
 * redirect. Nothing is checked, sealed or stored.
 */
const provider = process.env.PROVIDER_URL
const body = "grant_type=authorization_code&code=1"
const headers = { authorization: "Bearer made-up-token.1" }

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  async fetch(request) {
    if (!request.url.includes("/callback")) return new Response("ready")
    if (process.env.EXCHANGE) {
      const type = { "content-type": "application/x-www-form-urlencoded" }
      const exchanged = await fetch(`${provider}/2/oauth2/token`, { method: "POST", body, headers: type })
      await exchanged.json()
    }
    const answer = await fetch(`${provider}/2/users/me`, { headers })
    await answer.json()
    return new Response(null, { status: 302, headers: { location: "https://app.example.com/connect/done" } })
  },
})
