/** What the command line may change of a run. */
export interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly connections: readonly number[]
  readonly minutes: number
  readonly connects: number
  readonly accounts: readonly number[]
  /** Words after the part's name. */
  readonly words: readonly string[]
  /** Whether a result replaces the committed one. */
  readonly keep: boolean
}
