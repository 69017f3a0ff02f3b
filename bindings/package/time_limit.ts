/** Returns the result of `work`. Throws `<what> within <seconds> s` after that time. */
export function withLimit<T>(seconds: number, what: string, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(new Error(`${what} within ${Math.round(seconds)} s`));
    const timer = setTimeout(stop, seconds * 1000);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
