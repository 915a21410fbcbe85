/** What a command is given: positional arguments, options of the table, and options of its own. */
export interface Given {
  args: string[]
  /** By option name, as `loadSettings` wants them. */
  flags: Record<string, unknown>
  own: Record<string, unknown>
}
