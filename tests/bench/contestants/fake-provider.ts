/**
 * X's token and profile endpoints for the callbacks: any code is exchanged, and every code is another person. The
 * answers are as small as the real ones.
 */
Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  async fetch(request) {
    const { pathname } = new URL(request.url)
    if (pathname === "/2/oauth2/token") {
      const code = new URLSearchParams(await request.text()).get("code") ?? ""
      return Response.json({
        token_type: "bearer",
        expires_in: 7200,
        access_token: `made-up-access-token-of-the-benchmarks-0123456789-0123456789.${code}`,
        refresh_token: `made-up-refresh-token-of-the-benchmarks-0123456789-0123456789.${code}`,
        scope: "tweet.read tweet.write users.read media.write offline.access",
      })
    }
    if (pathname === "/2/users/me") {
      const id = request.headers.get("authorization")?.split(".").at(-1) ?? ""
      return Response.json({
        data: {
          id,
          name: "Ann Dev",
          username: `ann${id}`,
          profile_image_url: "https://pbs.twimg.com/profile_images/1/ann_normal.jpg",
          verified: false,
        },
      })
    }
    return new Response("fake provider")
  },
})
