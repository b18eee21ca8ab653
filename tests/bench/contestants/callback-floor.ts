/** The floor of a callback: one request to the provider, and a redirect. Nothing is checked, sealed or stored. */
const provider = `${process.env.PROVIDER_URL}/2/users/me`

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  async fetch(request) {
    if (!request.url.includes("/callback")) return new Response("ready")
    const answer = await fetch(provider, { headers: { authorization: "Bearer made-up-token.1" } })
    await answer.json()
    return new Response(null, { status: 302, headers: { location: "https://app.example.com/connect/done" } })
  },
})
