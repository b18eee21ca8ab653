import { Database } from "bun:sqlite"
import postgres from "postgres"

/** A statement as an adapter asked it, with its plan. */
export interface QueryPlan {
  readonly statement: string
  readonly plan: string
}

/** A PostgreSQL connection that notes what is asked over it. What it asked is explained under the given settings. */
export interface NotedPostgres {
  readonly sql: postgres.Sql
  /** All that was asked since the last time of tables of ours. */
  take(): readonly Asked[]
  /** With `analyze` in the command it is run, and undone. */
  plans(asked: readonly Asked[], explain: string): Promise<readonly QueryPlan[]>
  end(): Promise<void>
}

interface Asked {
  readonly statement: string
  readonly parameters: Parameters
}

type Parameters = postgres.ParameterOrJSON<never>[]

export function notedPostgres(url: string, settings: Readonly<Record<string, string>> = {}): NotedPostgres {
  const asked: Asked[] = []
  const sql = postgres(url, {
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    debug: (_, statement, parameters) => asked.push({ statement, parameters }),
  })
  const other = postgres(url, {
    max: 1,
    fetch_types: false,
    onnotice: () => {},
    connection: settings,
    types: { json: asItIs },
  })
  return {
    sql,
    take: () => asked.splice(0).filter(({ statement }) => /\bfrom \w/.test(statement)),
    async plans(asked, explain) {
      const plans: QueryPlan[] = []
      for (const { statement, parameters } of asked) {
        const given = explain.includes("generic_plan") ? [] : parameters
        plans.push({ statement, plan: await planOf(other, `${explain} ${statement}`, given) })
      }
      return plans
    },
    async end() {
      await sql.end({ timeout: 5 })
      await other.end({ timeout: 5 })
    },
  }
}

/** JSON that was noted is text by then. */
const asItIs = {
  to: 3802, // jsonb
  from: [3802],
  serialize: (text: unknown) => text,
  parse: (text: unknown) => text,
}

async function planOf(sql: postgres.Sql, statement: string, parameters: Parameters): Promise<string> {
  const undone = new Error("only to undo it")
  let plan: readonly Record<string, string>[] = []
  await sql
    .begin(async (tx) => {
      plan = await tx.unsafe(statement, parameters)
      throw undone
    })
    .catch((fault: unknown) => {
      if (fault !== undone) throw fault
    })
  return plan.map((row) => row["QUERY PLAN"]).join("\n")
}

export interface NotedSqlite {
  readonly db: Database
  /** Of all that was asked since the last time. */
  plans(): readonly QueryPlan[]
}

/** A SQLite database that notes what is asked of it. */
export function notedSqlite(opened: Database): NotedSqlite {
  const asked = new Set<string>()
  const db = new Proxy(opened, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown
      if (name === "query")
        return (statement: string) => noting(target.query(statement), () => asked.add(statement))
      return typeof value === "function" ? value.bind(target) : value
    },
  })
  return {
    db,
    plans() {
      using other = new Database(opened.filename)
      const plans = [...asked].map((statement) => ({
        statement,
        plan: other
          .query<{ detail: string }, []>(`explain query plan ${statement}`)
          .all()
          .map(({ detail }) => detail)
          .join("\n"),
      }))
      asked.clear()
      return plans
    },
  }
}

function noting<Statement extends object>(statement: Statement, note: () => void): Statement {
  return new Proxy(statement, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown
      if (typeof value !== "function") return value
      return (...given: unknown[]) => {
        if (name === "get" || name === "all" || name === "run") note()
        return value.apply(target, given)
      }
    },
  })
}
