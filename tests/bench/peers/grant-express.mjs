/** grant on Express: its route redirects to the provider and keeps state and verifier in a session in memory. */
import express from "express"
import session from "express-session"
import grant from "grant"

const app = express()
app.use(
  session({ secret: "made-up-secret-of-the-benchmarks-0123456789", saveUninitialized: true, resave: false }),
)
app.use(
  grant.express({
    defaults: { origin: "https://connect.example.com", transport: "session", state: true, pkce: true },
    twitter2: {
      key: "bWFkZS11cC1jbGllbnQtaWQtb2YtYmVuY2g6MTpjaQ",
      secret: "made-up-client-secret-of-the-benchmarks-0123456789",
      scope: ["tweet.read", "tweet.write", "users.read", "media.write", "offline.access"],
      callback: "https://app.example.com/connect/done",
    },
  }),
)
app.get("/", (_, response) => response.send("ready"))
app.listen(Number(process.env.PORT), "127.0.0.1")
