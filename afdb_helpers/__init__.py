"""Agent Factory's database operations book: the package that the runbooks call.

What a module can change decides where it stands; imports point down only.

    cli                 the command line, `afdb`
    demo                a 001 database to play with, and the six runbooks over it
    runbook             run a notebook truthfully, and leave a record
    rehearsal           restore a backup privately, upgrade it there, measure
    migrate             upgrade and downgrade a target under guard
    backup              dump, prove, restore
    online              what revisions call to change tables
    ─────────────────── nothing below this line can write to a target
    discovery           what is there, and the state it is in
    verification        schema, data and invariants after a migration
    drift               a live schema against the replayed chain
    migration_plan      what a migration will do, and its digest
    fingerprint         an order-free hash of the data
    hazards             what a migration or a backup must not meet
    catalog             what the server says of itself
    pages               records as offline HTML
    lint                rules for statements, weighed by tables and by what was measured
    pricing             hosting bills
    ledger              an append-only chain of entries
    signing             who said this, checkable with a public key
    embedded_postgres   a private PostgreSQL
    revisions           the Alembic project, and its commands in a child process
    models              the platform's twelve tables
    targets             named databases, secret URLs, read-only connections
    waivers             what somebody accepts, why, and until when
    report              the one shape of every result
    durable             what a file's own fsync leaves out: its name
    errors              sorted by what was changed
"""
