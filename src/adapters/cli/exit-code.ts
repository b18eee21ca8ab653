import { ConnectError } from "../../domain/errors.ts"

/** The exit code that the work resolves to, or that of its failure: every refusal is a sentence, a fault keeps its message. */
export async function exitCodeOf(
  work: () => Promise<number>,
  complain: (text: string) => void,
): Promise<number> {
  try {
    return await work()
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error))
    return error instanceof ConnectError ? 2 : 1
  }
}
