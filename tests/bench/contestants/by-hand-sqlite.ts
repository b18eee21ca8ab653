import { Database } from "bun:sqlite"
import type { Account, ByHandStore, Flow } from "./by-hand.ts"

/** One transaction for each turn of the event loop, with a flush of the disk at its end. */
export function byHandSqlite(): ByHandStore {
  const db = new Database("by-hand.db", { create: true })
  db.run("pragma journal_mode = wal")
  db.run("pragma synchronous = full")
  db.run("pragma temp_store = memory")
  db.run(`create table flows (id text primary key, tenant text, provider text, redirect_uri text, scopes text,
    return_url text, verifier text, status text, created_at int, expires_at int, account_id text) strict`)
  db.run("create index flows_pending on flows (expires_at) where status = 'pending'")
  db.run(`create table accounts (id text primary key, tenant text, provider text, platform_id text, handle text,
    name text, avatar text, health text, scopes text, access_token text, refresh_token text, connected_at int,
    expires_at int, unique (tenant, provider, platform_id)) strict`)
  db.run("create index accounts_newest on accounts (tenant, connected_at, id)")
  db.run("create index accounts_due on accounts (provider, expires_at)")
  db.run(`create table events (place integer primary key, id text unique, tenant text, type text, at int,
    account_id text) strict`)
  const [begin, commit] = [db.query("begin immediate"), db.query("commit")]
  const addFlow =
    db.query(`insert into flows values (?, 'acme', 'x', 'https://connect.example.com/v1/oauth/x/callback',
    'tweet.read tweet.write users.read media.write offline.access', ?, ?, 'pending', ?, ?, null)`)
  const take = db.query(
    "update flows set status = 'exchanging' where id = ?1 and status = 'pending' and expires_at > ?2",
  )
  const findFlow = db.query<Flow, [string]>(
    `select id, return_url as returnUrl, verifier, created_at as createdAt, expires_at as expiresAt
     from flows where id = ?`,
  )
  const end = db.query("update flows set status = 'connected', account_id = ? where id = ?")
  const findKept = db.query<{ id: string }, [string]>(
    "select id from accounts where tenant = 'acme' and provider = 'x' and platform_id = ?",
  )
  const addAccount = db.query(
    "insert into accounts values (?, 'acme', 'x', ?, ?, ?, ?, 'active', ?, ?, ?, ?, ?)",
  )
  const change = db.query(
    "update accounts set access_token = ?, refresh_token = ?, expires_at = ? where id = ?",
  )
  const addEvent = db.query(
    "insert into events (id, tenant, type, at, account_id) values (?, 'acme', ?, ?, ?)",
  )
  const findAccount = db.query<Pick<Account, "accessToken" | "expiresAt">, [string]>(
    "select access_token as accessToken, expires_at as expiresAt from accounts where id = ?",
  )

  let queued: (() => () => void)[] = []
  function write<Result>(work: () => Result): Promise<Result> {
    return new Promise((resolve) => {
      if (queued.length === 0) setImmediate(commitQueued)
      queued.push(() => {
        const result = work()
        return () => resolve(result)
      })
    })
  }
  function commitQueued(): void {
    const works = queued
    queued = []
    begin.run()
    const told = works.map((work) => work())
    commit.run()
    for (const tell of told) tell()
  }

  return {
    add: ({ id, returnUrl, verifier, createdAt, expiresAt }) =>
      write(() => void addFlow.run(id, returnUrl, verifier, createdAt, expiresAt)),
    take: (id) =>
      write(() => (take.run(id, Date.now()).changes === 1 ? (findFlow.get(id) ?? undefined) : undefined)),
    connect: (flow, account) =>
      write(() => {
        const { id, platformId, handle, name, avatar, scopes, accessToken, refreshToken } = account
        const { connectedAt, expiresAt } = account
        const kept = findKept.get(platformId)?.id ?? id
        if (kept === id)
          addAccount.run(
            id,
            platformId,
            handle,
            name,
            avatar,
            scopes,
            accessToken,
            refreshToken,
            connectedAt,
            expiresAt,
          )
        else change.run(accessToken, refreshToken, expiresAt, kept)
        addEvent.run(
          `evt_${id}`,
          kept === id ? "account.connected" : "account.reconnected",
          connectedAt,
          kept,
        )
        end.run(kept, flow)
        return kept
      }),
    find: async (id) => findAccount.get(id) ?? undefined,
  }
}
