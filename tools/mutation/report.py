"""Results of mutants, for people."""
from mutation.judge import KINDS


def line_of(result):
    place = f"{result.file}:{result.mutant.line}"
    noticed = "; ".join(f"{kind}: {result.outcomes[kind]}" for kind in KINDS if result.outcomes.get(kind))
    return f"{place:<46} {result.mutant.operator:<17} {noticed or 'SURVIVES'}"


def share(part, whole):
    return f"{part}/{whole} {100 * part // whole}%" if whole else "-"


def row_of(name, results):
    cells = [name, str(len(results))]
    for kind in KINDS:
        asked = [result for result in results if kind in result.outcomes]
        cells.append(share(sum(bool(result.outcomes[kind]) for result in asked), len(asked)))
    cells.append(share(sum(result.noticed() for result in results), len(results)))
    return cells


def table(results, folders):
    """Shares of each folder and of all; of a kind of run only the mutants count that its program contains."""
    rows = [["noticed by", "mutants", "simulation", "enumeration", "unit tests", "conversations", "any"]]
    rows += [row_of(folder, [result for result in results if result.file.startswith(folder + "/")])
             for folder in folders]
    rows.append(row_of("all", results))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def survivors(results):
    found = [result for result in results if not result.noticed()]
    if not found:
        return "no mutant survives"
    return f"{len(found)} survive:\n" + "\n".join(result.change() for result in found)
