/** Prints a line on stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Prints what the API answered, untouched, or as text. */
export function show<T>(json: boolean, value: T, render: (value: T) => string): void {
  print(json ? JSON.stringify(value, null, 2) : render(value))
}
