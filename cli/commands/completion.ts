import { RrError } from "../../src/errors.ts";
import type { Command } from "../invocation.ts";

/**
 * The scripts ask `rrctl __complete -- <words>` for what fits, so they stay the same when commands change. The program
 * is called as the user called it.
 */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `# rrctl completion for bash
_rrctl_complete() {
  local candidates
  candidates="$("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)"
  COMPREPLY=()
  local line
  while IFS= read -r line; do
    [ -n "$line" ] && COMPREPLY+=("$line")
  done <<< "$candidates"
}
complete -o default -F _rrctl_complete rrctl
`,
  zsh: `#compdef rrctl
# rrctl completion for zsh
_rrctl() {
  local -a candidates
  local value description
  while IFS=$'\\t' read -r value description; do
    candidates+=("\${value//:/\\\\:}:\${description}")
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( \${#candidates} )); then
    _describe rrctl candidates
  else
    _files
  fi
}
if [ "\${funcstack[1]}" = "_rrctl" ]; then
  _rrctl "$@"
else
  compdef _rrctl rrctl
fi
`,
  fish: `# rrctl completion for fish
function __rrctl_complete
  set -l words (commandline -opc)
  set -l candidates ($words[1] __complete -- $words[2..-1] (commandline -ct) 2>/dev/null)
  if test (count $candidates) -gt 0
    printf '%s\\n' $candidates
  else
    __fish_complete_path (commandline -ct)
  end
end
complete -c rrctl -f -a '(__rrctl_complete)'
`,
  powershell: `# rrctl completion for PowerShell
Register-ArgumentCompleter -Native -CommandName rrctl -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
  $before = @($words | Select-Object -Skip 1)
  & $commandAst.CommandElements[0].ToString() __complete -- @before "$wordToComplete" 2>$null | ForEach-Object {
    $value, $description = $_ -split "\`t", 2
    if (-not $description) { $description = $value }
    [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
  }
}
`,
};

export const run: Command = async ({ words, terminal }) => {
  const shell = words[0] ?? "";
  const script = SCRIPTS[shell];
  if (script === undefined)
    throw new RrError("INVALID_REQUEST", `shell "${shell}": expected ${Object.keys(SCRIPTS).join(", ")}`);
  await terminal.write(script);
  return 0;
};
