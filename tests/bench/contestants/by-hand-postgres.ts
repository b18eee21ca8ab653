import postgres from "postgres"
import type { Account, ByHandStore, Flow } from "./by-hand.ts"

const mostTogether = 64
const mostUnderWay = 2

/** What is asked of one moment goes as one statement, with at most two of a kind under way. */
export async function byHandPostgres(url: string): Promise<ByHandStore> {
  // Else a plan is kept that was made for tables that have just begun to grow.
  const connection = { enable_seqscan: "off", enable_hashjoin: "off", enable_mergejoin: "off" } as never
  const sql = postgres(url, { fetch_types: false, onnotice: () => {}, connection })
  await sql.unsafe(`
    create table flows (id text collate "C" primary key, tenant text, provider text, redirect_uri text, scopes text,
      return_url text, verifier text, status text, created_at bigint, expires_at bigint, account_id text);
    create index flows_pending on flows (expires_at) where status = 'pending';
    create table accounts (id text collate "C" primary key, tenant text, provider text, platform_id text, handle text,
      name text, avatar text, health text, scopes text, access_token text, refresh_token text, connected_at bigint,
      expires_at bigint, unique (tenant, provider, platform_id));
    create index accounts_newest on accounts (tenant, connected_at, id);
    create index accounts_due on accounts (provider, expires_at);
    create table events (place bigint generated always as identity primary key, id text unique, tenant text, type text,
      at bigint, account_id text)`)

  function together<Asked, Answer>(statement: string): (asked: Asked) => Promise<Answer | undefined> {
    let waiting: {
      asked: Asked
      resolve: (answer: Answer | undefined) => void
      reject: (why: unknown) => void
    }[] = []
    let underWay = 0
    function send(): void {
      while (waiting.length > 0 && underWay < mostUnderWay) {
        const batch = waiting.slice(0, mostTogether)
        waiting = waiting.slice(mostTogether)
        underWay++
        const asked = sql.json(batch.map((one) => one.asked) as never)
        sql
          .unsafe<{ place: number; answer: Answer }[]>(statement, [asked], { prepare: true })
          .then(
            (rows) => {
              const answers = new Map(rows.map(({ place, answer }) => [place, answer]))
              for (const [i, { resolve }] of batch.entries()) resolve(answers.get(i + 1))
            },
            (why) => {
              for (const { reject } of batch) reject(why)
            },
          )
          .finally(() => {
            underWay--
            send()
          })
      }
    }
    return (asked) =>
      new Promise((resolve, reject) => {
        if (waiting.length === 0) setImmediate(send)
        waiting.push({ asked, resolve, reject })
      })
  }

  const all = "jsonb_array_elements($1::jsonb) with ordinality asked (row, place)"
  const add = together<readonly unknown[], never>(`
    insert into flows select row ->> 0, 'acme', 'x', 'https://connect.example.com/v1/oauth/x/callback',
      'tweet.read tweet.write users.read media.write offline.access', row ->> 1, row ->> 2, 'pending',
      (row ->> 3)::bigint, (row ->> 4)::bigint from ${all}`)
  // Spelled so that no index but that of the ids fits.
  const take = together<readonly unknown[], Flow>(`
    update flows set status = 'exchanging' from ${all}
    where id = row ->> 0 and status || '' = 'pending' and expires_at + 0 > (row ->> 1)::bigint
    returning place::integer, json_build_object('id', id, 'returnUrl', return_url, 'verifier', verifier) as answer`)
  const connect = together<readonly unknown[], string>(`
    with asked as materialized (select row, place from ${all}),
    kept as (
      insert into accounts select row ->> 1, 'acme', 'x', row ->> 2, row ->> 3, row ->> 4, row ->> 5, 'active',
        row ->> 6, row ->> 7, row ->> 8, (row ->> 9)::bigint, (row ->> 10)::bigint from asked
      on conflict (tenant, provider, platform_id) do update set access_token = excluded.access_token,
        refresh_token = excluded.refresh_token, expires_at = excluded.expires_at
      returning id, platform_id),
    told as (
      insert into events (id, tenant, type, at, account_id)
      select 'evt_' || (row ->> 1), 'acme', 'account.connected', (row ->> 9)::bigint, kept.id
      from asked join kept on platform_id = row ->> 2),
    ended as (
      update flows set status = 'connected', account_id = kept.id
      from asked join kept on platform_id = row ->> 2 where flows.id = row ->> 0)
    select place::integer, kept.id as answer from asked join kept on platform_id = row ->> 2`)
  const find = together<readonly unknown[], Pick<Account, "accessToken" | "expiresAt">>(`
    select place::integer, json_build_object('accessToken', access_token, 'expiresAt', expires_at) as answer
    from ${all} join accounts on id = row ->> 0`)

  return {
    add: async ({ id, returnUrl, verifier, createdAt, expiresAt }) => {
      await add([id, returnUrl, verifier, createdAt, expiresAt])
    },
    take: (id) => take([id, Date.now()]),
    async connect(flow, account) {
      const { id, platformId, handle, name, avatar, scopes, accessToken, refreshToken } = account
      const { connectedAt, expiresAt } = account
      const row = [
        flow,
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
      ]
      return (await connect(row)) ?? id
    },
    find: (id) => find([id]),
  }
}
