// A terminal for a command under test: a pseudo terminal that becomes its controlling one, as when a person types it.

/** c_lflag of termios(3). */
const ICANON = 2;
const ECHO = 8;

export interface TerminalRun {
  /** Everything that has been shown so far. */
  shown(): string;
  /** Waits until the text has been shown; the error of a time-out tells what was. */
  until(text: string): Promise<void>;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  /** Whether the terminal passes every byte on as it is typed, and does not echo. */
  isRaw(): boolean;
  /** The four flag words of its termios. */
  flags(): readonly number[];
  signal(name: NodeJS.Signals): void;
  /** The exit code; the last output has then been shown. */
  ended(): Promise<number>;
  close(): void;
}

const PATIENCE = 20_000;

/** Starts a command on a terminal of its own. */
export function runOnTerminal(command: readonly string[], columns = 80, rows = 24): TerminalRun {
  let text = "";
  const decoder = new TextDecoder();
  const terminal = new Bun.Terminal({
    cols: columns,
    rows,
    name: "xterm",
    data: (_terminal, bytes) => {
      text += decoder.decode(bytes, { stream: true });
    },
  });
  // Bun makes a session for it, but not the terminal its controlling one, without which a new size is not told.
  const child = Bun.spawn(["setsid", "--ctty", "--wait", ...command], { terminal });
  const flags = () => [terminal.inputFlags, terminal.outputFlags, terminal.controlFlags, terminal.localFlags];
  return {
    shown: () => text,
    async until(wanted) {
      const end = performance.now() + PATIENCE;
      while (!text.includes(wanted)) {
        if (performance.now() > end) throw new Error(`${wanted} was not shown: ${JSON.stringify(text)}`);
        await Bun.sleep(10);
      }
    },
    type: (words) => void terminal.write(words),
    resize: (newColumns, newRows) => terminal.resize(newColumns, newRows),
    isRaw: () => (terminal.localFlags & (ICANON | ECHO)) === 0,
    flags,
    signal: (name) => child.kill(name),
    async ended() {
      const code = await child.exited;
      for (let length = -1; length !== text.length; ) {
        length = text.length;
        await Bun.sleep(50);
      }
      return code;
    },
    close() {
      child.kill("SIGKILL");
      terminal.close();
    },
  };
}
