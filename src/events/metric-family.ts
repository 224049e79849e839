export interface Sample {
  suffix: string
  /** Rendered labels with their braces, or nothing. */
  labels: string
  value: number
}

const LABEL_CHARS_MAX = 128

/** One metric with labels and a bound on how many sets of them it tells apart. */
export class Family {
  readonly #values = new Map<string, { labels: string[]; value: number }>()

  constructor(
    readonly name: string,
    readonly type: 'counter' | 'gauge',
    readonly help: string,
    readonly labelNames: string[],
    readonly labelSetsMax: number,
  ) {}

  /** Adds to the value of these labels. Once there are too many sets, the first label of further ones becomes `_other`. */
  add(labels: string[], amount: number): this {
    const key = labels.length === 1 ? (labels[0] ?? '') : labels.join('\n')
    const known = this.#values.get(key)
    if (known !== undefined) known.value += amount
    else if (this.#values.size < this.labelSetsMax) this.#values.set(key, { labels, value: amount })
    else this.#addOther(labels, amount)
    return this
  }

  #addOther(labels: string[], amount: number): void {
    // The other labels come from closed sets; where even they are too many, one sample takes all.
    const partly = ['_other', ...labels.slice(1)]
    const wholly = labels.map(() => '_other')
    const chosen = this.#values.size < this.labelSetsMax * 2 ? partly : wholly
    const key = chosen.join('\n')
    const known = this.#values.get(key)
    if (known === undefined) this.#values.set(key, { labels: chosen, value: amount })
    else known.value += amount
  }

  render(): string {
    const samples = [...this.#values.values()].map(({ labels, value }) => ({ suffix: '', labels: this.#labelText(labels), value }))
    return Family.text(this.name, this.type, this.help, samples)
  }

  #labelText(labels: string[]): string {
    if (labels.length === 0) return ''
    return `{${labels.map((label, index) => `${this.labelNames[index]}="${escapeLabel(label)}"`).join(',')}}`
  }

  /** The family in the exposition format. `name` and `help` are ours and need no escaping. */
  static text(name: string, type: string, help: string, samples: Sample[]): string {
    let text = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
    for (const { suffix, labels, value } of samples) text += `${name}${suffix}${labels} ${number(value)}\n`
    return text
  }
}

function escapeLabel(label: string): string {
  const cut = label.length <= LABEL_CHARS_MAX ? label : `${label.slice(0, LABEL_CHARS_MAX)}…`
  return cut.toWellFormed().replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')
}

function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
