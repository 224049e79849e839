/** One line of a row's table; what does not apply stays away. */
export type Line = Record<string, string | number>

export interface RowReport {
  row: string
  says: string
  lines: Line[]
  /** Against the product's numbers. `met` is null where nothing could be compared. */
  verdicts: { says: string; value: string; target: string; met: boolean | null }[]
  skipped: string[]
}

export function shown(value: number, digits = 2): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '–'
}

export function printReport(report: RowReport): void {
  console.log(`\n${report.row}: ${report.says}`)
  if (report.lines.length > 0) printTable(report.lines)
  for (const reason of report.skipped) console.log(`  SKIPPED ${reason}`)
  for (const { says, value, target, met } of report.verdicts) console.log(`  ${met === null ? '    ' : met ? 'met ' : 'MISS'} ${says}: ${value} (target ${target})`)
}

function printTable(lines: Line[]): void {
  const columns = [...new Set(lines.flatMap((line) => Object.keys(line)))]
  const cells = [columns, ...lines.map((line) => columns.map((column) => String(line[column] ?? '')))]
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? '').length)))
  for (const line of cells) console.log(`  ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ')}`)
}
