/** The package's version. */
export const version: string = packageVersion;
