/** The floor: the runtime's own server, answering the JSON it was given. */
const answer: unknown = JSON.parse(process.env.ANSWER ?? "{}")

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  fetch: () => Response.json(answer),
})
