/** One for all who ask, however many at once; asked for anew after a failure. */
export function once<Result>(load: () => Promise<Result>): () => Promise<Result> {
  let loading: Promise<Result> | undefined
  return () => {
    loading ??= load().catch((fault) => {
      loading = undefined
      throw fault
    })
    return loading
  }
}
