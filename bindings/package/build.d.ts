/** The version in package.json. The build replaces the name by the text. */
declare const packageVersion: string;
