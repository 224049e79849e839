export function missingPackages(folder?: string): string[]
export function findBun(folder?: string): string | undefined
