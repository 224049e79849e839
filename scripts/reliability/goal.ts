/** One promise about bad days, and the way to put it to the test. */
export interface Goal {
  id: string
  promise: string
  /** Resolves to what was counted, in one line. Throws where the promise does not hold. */
  run(options: { isQuick: boolean }): Promise<string>
}

export function must(claim: boolean, otherwise: string): void {
  if (!claim) throw new Error(otherwise)
}

/** Runs `work` on so many workers at once until it says that it is done. */
export async function onWorkers(count: number, work: (worker: number) => Promise<'again' | 'done'>): Promise<void> {
  await Promise.all(Array.from({ length: count }, async (_, worker) => {
    while ((await work(worker)) === 'again');
  }))
}
