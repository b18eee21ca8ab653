import type { Database, SQLQueryBindings, Statement } from "bun:sqlite"

/** What the adapter asks of a database. */
export interface Statements {
  query<Result, Parameters extends SQLQueryBindings[]>(text: string): Prepared<Result, Parameters>
}

export interface Prepared<Result, Parameters extends SQLQueryBindings[]> {
  get(...parameters: Parameters): Result | null
  all(...parameters: Parameters): Result[]
  /** `changes` counts rows. */
  run(...parameters: Parameters): { readonly changes: number }
}

/** Prepares each statement when it is first asked: all at once took two thirds of the time that opening takes. */
export function preparedWhenAsked(db: Database): Statements {
  return {
    query<Result, Parameters extends SQLQueryBindings[]>(text: string) {
      let prepared: Statement<Result, Parameters> | undefined
      const statement = () => {
        prepared ??= db.query<Result, Parameters>(text) as Statement<Result, Parameters>
        return prepared
      }
      return {
        get: (...parameters: Parameters) => statement().get(...parameters),
        all: (...parameters: Parameters) => statement().all(...parameters),
        run: (...parameters: Parameters) => statement().run(...parameters),
      }
    },
  }
}

/**
 * Tells `changed` the id of every account that was there and that a statement writes to, when it is written: the one
 * place that all writes to accounts pass. Throws for a statement that does not say which, by `returning id`. One that
 * only adds need not: what was not there is remembered by nobody.
 */
export function tellingOfAccounts(db: Statements, changed: (id: string) => void): Statements {
  return {
    query<Result, Parameters extends SQLQueryBindings[]>(text: string) {
      const statement = db.query<Result, Parameters>(text)
      if (!writesAccounts.test(text)) return statement
      if (!saysWhich.test(text)) {
        if (onlyAdds.test(text)) return statement
        throw new Error(`A write to accounts must be returning id: ${text}`)
      }
      const all = (...parameters: Parameters) => {
        const rows = statement.all(...parameters)
        for (const row of rows) changed((row as { readonly id: string }).id)
        return rows
      }
      return {
        get: (...parameters: Parameters) => all(...parameters)[0] ?? null,
        all,
        run: (...parameters: Parameters) => ({ changes: all(...parameters).length }),
      }
    },
  }
}

const writesAccounts = /\b(?:into|update(?:\s+or\s+\w+)?|delete\s+from)\s+(?:main\s*\.\s*)?["'`[]?accounts\b/i
const onlyAdds = /^\s*insert\s+into\s(?![\s\S]*\b(?:conflict|update|delete)\b)/i
const saysWhich = /\breturning\s+(?:id\b|\[id\])/i
