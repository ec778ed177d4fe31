-- Jobs: work that background workers do, inside the database, one row a job.
--
-- A job is submitted in its submitter's transaction, and rolled back with it. A worker that has claimed one holds a
-- lock for as long as it lives, of a kind that SQL cannot take: a running job whose lock is free is an orphan, and the
-- next worker that looks resumes it. Only workers change the state of a running job, under a token that each claim
-- draws; the one exception is an orphan, which cancel_job ends. Statements of workers that change jobs are in
-- src/jobs/store.rs; those of sessions are here, in the functions submit, approve_preview, cancel_job, adopt_catalog
-- and resume_jobs of lumina_internal; no other file of SQL changes a job. Who wants one cancelled writes a row
-- elsewhere, so that no open transaction ever stands in a worker's way.

CREATE TYPE lumina.job_state AS ENUM ('queued', 'running', 'ready', 'succeeded', 'failed', 'cancelled');
COMMENT ON TYPE lumina.job_state IS 'queued -> running -> succeeded | failed | cancelled; '
    'a preview: running -> ready -> queued; queued and ready -> cancelled; '
    'running -> queued where its worker was lost or told to end';

CREATE FUNCTION lumina.is_job_kind(kind text) RETURNS bool
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'is_job_kind';
COMMENT ON FUNCTION lumina.is_job_kind(text) IS 'Whether the library has jobs of this kind';
CREATE FUNCTION lumina_internal.job_right(kind text) RETURNS text
    IMMUTABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'job_right';
COMMENT ON FUNCTION lumina_internal.job_right(text) IS
    'Internal: the right to its catalog that the submitter of a job of this kind needs';
CREATE FUNCTION lumina.library_version() RETURNS text
    STABLE STRICT PARALLEL SAFE LANGUAGE c AS 'MODULE_PATHNAME', 'library_version';
COMMENT ON FUNCTION lumina.library_version() IS 'The version of the library that this session has loaded';
CREATE FUNCTION lumina_internal.home(
    OUT system_identifier int8, OUT database oid, OUT timeline int8, OUT directory text)
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'job_home';
REVOKE EXECUTE ON FUNCTION lumina_internal.home() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.home() IS
    'Internal: what tells this database of this cluster from every copy of it; a timeline of NULL in recovery';
CREATE FUNCTION lumina_internal.job_settings() RETURNS jsonb
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'job_settings';
REVOKE EXECUTE ON FUNCTION lumina_internal.job_settings() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.job_settings() IS
    'Internal: the settings of this session that a job is to run with';
CREATE FUNCTION lumina_internal.start_worker_at_commit(job int8) RETURNS void
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'start_worker_at_commit';
REVOKE EXECUTE ON FUNCTION lumina_internal.start_worker_at_commit(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.start_worker_at_commit(int8) IS
    'Internal: starts a worker for a job that the transaction queues, when it commits';
CREATE FUNCTION lumina_internal.start_workers_at_end(workers int4, is_requested bool) RETURNS void
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'start_workers_at_end';
REVOKE EXECUTE ON FUNCTION lumina_internal.start_workers_at_end(int4, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.start_workers_at_end(int4, bool) IS
    'Internal: starts workers for jobs that are there already, when the transaction ends';
CREATE FUNCTION lumina_internal.start_worker_now() RETURNS void
    VOLATILE LANGUAGE c AS 'MODULE_PATHNAME', 'start_worker_now';
REVOKE EXECUTE ON FUNCTION lumina_internal.start_worker_now() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.start_worker_now() IS 'Internal: starts a worker for jobs that are there already';
CREATE FUNCTION lumina_internal.job_alive(jobs regclass, job int8) RETURNS bool
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'job_alive';
COMMENT ON FUNCTION lumina_internal.job_alive(regclass, int8) IS
    'Internal: whether a worker of this server holds the lock of a job';

CREATE TABLE lumina.jobs (
    id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (lumina.is_job_kind(kind)),
    catalog int8 NOT NULL REFERENCES lumina.catalogs ON DELETE CASCADE,
    parameters jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(parameters) = 'object'),
    settings jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    owner lumina.role NOT NULL,
    -- Not a foreign key: it would be a cycle, which a dump cannot be restored with.
    parent int8,
    state lumina.job_state NOT NULL DEFAULT 'queued',
    phase text NOT NULL DEFAULT '',
    progress float4 NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    items_done int8 NOT NULL DEFAULT 0 CHECK (items_done >= 0),
    items_total int8 CHECK (items_total >= items_done),
    items_failed int8 NOT NULL DEFAULT 0 CHECK (items_failed BETWEEN 0 AND items_done),
    bytes_done int8 NOT NULL DEFAULT 0 CHECK (bytes_done >= 0),
    bytes_total int8 CHECK (bytes_total >= bytes_done),
    attempts int4 NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    failures int4 NOT NULL DEFAULT 0 CHECK (failures BETWEEN 0 AND 3),
    restarts int4 NOT NULL DEFAULT 0 CHECK (restarts BETWEEN 0 AND 100),
    token uuid,
    worker_pid int4,
    system_identifier int8 NOT NULL,
    database oid NOT NULL,
    timeline int8 NOT NULL,
    directory text NOT NULL,
    -- What its kind has to remember of what is done, or allowed, already.
    checkpoint jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(checkpoint) = 'object'),
    result jsonb,
    error_code text CHECK (error_code ~ '^[a-z_]+$'),
    error_sqlstate text CHECK (error_sqlstate ~ '^[0-9A-Z]{5}$'),
    error text,
    error_hint text,
    created_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz,
    progress_at timestamptz,
    ended_at timestamptz,
    CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (ended_at IS NOT NULL)),
    CHECK ((state = 'running') = (token IS NOT NULL)),
    CHECK ((state = 'running') = (worker_pid IS NOT NULL)),
    CHECK ((state IN ('failed', 'cancelled')) = (error_code IS NOT NULL)),
    CHECK ((error_code IS NULL) = (error IS NULL) AND (error_code IS NULL) = (error_sqlstate IS NULL)),
    CHECK (state <> 'cancelled' OR error_code = 'cancelled'),
    CHECK (state <> 'succeeded' OR (result IS NOT NULL AND progress = 1)),
    CHECK (state = 'queued' OR state = 'cancelled' OR attempts > 0),
    UNIQUE (id, catalog)
);
CREATE UNIQUE INDEX jobs_active ON lumina.jobs (catalog, kind) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_unended ON lumina.jobs (id) WHERE state IN ('queued', 'running');
COMMENT ON TABLE lumina.jobs IS 'Work of background workers; at most one active job of a kind in a catalog';

CREATE TABLE lumina.job_cancellations (
    job int8 PRIMARY KEY REFERENCES lumina.jobs ON DELETE CASCADE,
    requested_by lumina.role NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE lumina.job_cancellations IS 'Who wants which job cancelled';

CREATE TABLE lumina.workers_stopped (
    is_stopped bool PRIMARY KEY DEFAULT true CHECK (is_stopped),
    stopped_by lumina.role NOT NULL,
    stopped_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE lumina.workers_stopped IS
    'Holds a row after stop_workers() until resume_jobs(): no worker of this database takes a job';

ALTER TABLE lumina.jobs ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.jobs FOR SELECT USING (catalog = ANY ((SELECT lumina.readable_catalogs())::int8[]));
ALTER TABLE lumina.job_cancellations ENABLE ROW LEVEL SECURITY;
CREATE POLICY readable ON lumina.job_cancellations FOR SELECT
    USING (EXISTS (SELECT FROM lumina.jobs j WHERE j.id = job));
GRANT SELECT ON lumina.jobs, lumina.job_cancellations, lumina.workers_stopped TO PUBLIC;

-- Which changes a job may go through, by any role. Rows that a dump brings back are inserted, not updated.
CREATE FUNCTION lumina_internal.check_job_change() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.state IN ('succeeded', 'failed', 'cancelled') THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('job %s has ended and never changes', OLD.id),
            HINT = 'SELECT lumina.retry_job(...) makes a new job of it.';
    ELSIF (OLD.id, OLD.kind, OLD.catalog, OLD.parameters, OLD.owner, OLD.created_at)
            IS DISTINCT FROM (NEW.id, NEW.kind, NEW.catalog, NEW.parameters, NEW.owner, NEW.created_at) THEN
        RAISE integrity_constraint_violation USING MESSAGE = format('what job %s is never changes', OLD.id);
    ELSIF OLD.state <> NEW.state AND (OLD.state, NEW.state) NOT IN (('queued', 'running'), ('queued', 'cancelled'),
            ('running', 'queued'), ('running', 'ready'), ('running', 'succeeded'), ('running', 'failed'),
            ('running', 'cancelled'), ('ready', 'queued'), ('ready', 'cancelled')) THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('job %s cannot go from %s to %s', OLD.id, OLD.state, NEW.state);
    END IF;
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.check_job_change() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.check_job_change() IS 'Internal: refuses changes of jobs that make no sense';
CREATE TRIGGER check_job_change BEFORE UPDATE ON lumina.jobs
    FOR EACH ROW EXECUTE FUNCTION lumina_internal.check_job_change();

-- Tells listeners. Any role can listen: no paths, no names, no texts. A transaction that notifies fails if the queue is
-- full; it is gigabytes long, and is left alone from its half on. One that has notified cannot be prepared: hence only
-- at COMMIT.
CREATE FUNCTION lumina_internal.notify_at_commit(payload text) RETURNS void
    VOLATILE STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'notify_at_commit';
REVOKE EXECUTE ON FUNCTION lumina_internal.notify_at_commit(text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.notify_at_commit(text) IS
    'Internal: notifies lumina_jobs when the transaction commits, not where it is prepared';
CREATE FUNCTION lumina_internal.notify_job() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF pg_notification_queue_usage() < 0.5 THEN
        PERFORM lumina_internal.notify_at_commit(json_build_object('job', NEW.id, 'kind', NEW.kind, 'state', NEW.state,
            'progress', round(NEW.progress::numeric, 3), 'done', NEW.items_done, 'total', NEW.items_total)::text);
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.notify_job() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.notify_job() IS 'Internal: notifies lumina_jobs of a change of a job';
CREATE TRIGGER notify_new_job AFTER INSERT ON lumina.jobs FOR EACH ROW
    WHEN (NEW.state = 'queued') EXECUTE FUNCTION lumina_internal.notify_job();
CREATE TRIGGER notify_job AFTER UPDATE ON lumina.jobs FOR EACH ROW
    WHEN ((OLD.state, OLD.progress, OLD.items_done) IS DISTINCT FROM (NEW.state, NEW.progress, NEW.items_done))
    EXECUTE FUNCTION lumina_internal.notify_job();

-- Where a job belongs: here; here after a failover, where only moves and removals of files wait for somebody to say
-- that the old primary is gone; or elsewhere, in which case nothing happens until adopt_catalog.
CREATE FUNCTION lumina_internal.job_place(system_identifier int8, database oid, timeline int8, directory text)
    RETURNS text
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    home record;
BEGIN
    SELECT * INTO home FROM lumina_internal.home() h;
    RETURN CASE WHEN (system_identifier, database) <> (home.system_identifier, home.database) THEN 'elsewhere'
        WHEN directory = home.directory THEN 'here'
        WHEN timeline < home.timeline THEN 'failover'
        ELSE 'elsewhere' END;
END $$;
COMMENT ON FUNCTION lumina_internal.job_place(int8, oid, int8, text) IS
    'Internal: whether a job belongs here, came here by a failover, or belongs elsewhere';

CREATE FUNCTION lumina_internal.check_version() RETURNS void
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    installed text := (SELECT extversion FROM pg_extension WHERE extname = 'lumina');
BEGIN
    IF installed <> lumina.library_version() THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('extension_version_mismatch: the library lumina is of version %s, '
                'the extension of version %s', lumina.library_version(), installed),
            HINT = 'ALTER EXTENSION lumina UPDATE; sessions with an older library connect again, '
                'and where it is preloaded the server is restarted.';
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.check_version() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.check_version() IS 'Internal: raises where library and extension differ in version';

CREATE FUNCTION lumina_internal.submit(
    caller oid, of_kind text, of_catalog int8, with_parameters jsonb, of_parent int8 DEFAULT NULL)
    RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made int8;
    active int8;
BEGIN
    PERFORM lumina_internal.check_version();
    BEGIN
        INSERT INTO lumina.jobs (kind, catalog, parameters, settings, owner, parent, system_identifier, database,
                timeline, directory)
            SELECT of_kind, of_catalog, with_parameters, lumina_internal.job_settings(), lumina_internal.role(caller),
                of_parent, h.system_identifier, h.database, h.timeline, h.directory
            FROM lumina_internal.home() h RETURNING id INTO made;
    EXCEPTION WHEN unique_violation THEN
        SELECT j.id INTO active FROM lumina.jobs j
            WHERE j.catalog = of_catalog AND j.kind = of_kind AND j.state IN ('queued', 'running');
        -- It may have lost its worker, or never had one: this transaction will not commit to start one.
        PERFORM lumina_internal.start_worker_now() FROM lumina.jobs j
            WHERE j.id = active AND NOT EXISTS (SELECT FROM lumina.workers_stopped)
                AND NOT lumina_internal.job_alive('lumina.jobs'::regclass, j.id)
                AND lumina_internal.job_place(j.system_identifier, j.database, j.timeline, j.directory) <> 'elsewhere';
        RAISE object_in_use USING
            MESSAGE = format('a job of kind %s is active in this catalog already: %s', of_kind,
                coalesce(active::text, 'a new one')),
            HINT = format('CALL lumina.wait_for_job(%1$s) waits for it, SELECT lumina.cancel_job(%1$s) cancels it.',
                coalesce(active::text, '...'));
    END;
    PERFORM lumina_internal.start_worker_at_commit(made);
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.submit(oid, text, int8, jsonb, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.submit(oid, text, int8, jsonb, int8) IS
    'Internal: makes a job for a caller whose rights were checked';

-- A job that the caller may act on: its owner, or the owner of its catalog. Others are told no more than they can read.
CREATE FUNCTION lumina_internal.job(caller oid, wanted int8) RETURNS lumina.jobs
    STABLE LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target lumina.jobs;
    rights lumina.access_right[];
BEGIN
    IF wanted IS NULL THEN
        RAISE null_value_not_allowed USING MESSAGE = 'job must not be NULL',
            HINT = 'Give the number of a job: TABLE lumina.job_progress lists them.';
    END IF;
    SELECT * INTO target FROM lumina.jobs WHERE id = wanted;
    rights := lumina_internal.rights(caller, target.catalog);
    IF rights IS NULL THEN
        RAISE undefined_object USING MESSAGE = format('job %s does not exist', wanted),
            HINT = 'TABLE lumina.job_progress lists the jobs that you may see.';
    ELSIF NOT ('own' = ANY (rights) OR lumina_internal.acts_for(caller, target.owner)) THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for job %s', wanted),
            HINT = format('Only "%s", who submitted it, and the owner of its catalog may do this.', target.owner);
    END IF;
    RETURN target;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.job(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.job(oid, int8) IS 'Internal: a job that the caller may act on';

-- Queues a preview again that was approved. Returns false for a job that is no preview of an import, or is not ready.
CREATE FUNCTION lumina_internal.approve_preview(wanted int8) RETURNS bool
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE lumina.jobs j SET state = 'queued', checkpoint = j.checkpoint || '{"approved": true}', result = NULL
        WHERE j.id = wanted AND j.state = 'ready' AND j.kind = 'import';
    RETURN FOUND;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.approve_preview(int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.approve_preview(int8) IS 'Internal: queues a preview that was approved';

CREATE FUNCTION lumina_internal.cancel_job(caller oid, wanted int8) RETURNS bool
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target lumina.jobs := lumina_internal.job(caller, wanted);
BEGIN
    IF target.state IN ('succeeded', 'failed', 'cancelled') THEN
        RETURN target.state = 'cancelled';
    END IF;
    INSERT INTO lumina.job_cancellations (job, requested_by) VALUES (wanted, lumina_internal.role(caller))
        ON CONFLICT DO NOTHING;
    -- A job that nobody runs is cancelled at once. One that a worker runs, or claims at this moment, is left to the
    -- worker.
    UPDATE lumina.jobs j SET state = 'cancelled', token = NULL, worker_pid = NULL, ended_at = clock_timestamp(),
            error_code = 'cancelled', error_sqlstate = '57014',
            error = format('cancelled by "%s" while no worker ran it', pg_get_userbyid(caller)),
            error_hint = 'SELECT lumina.retry_job(...) submits it once more.'
        WHERE j.id = wanted AND (j.state IN ('queued', 'ready')
            OR j.state = 'running' AND NOT lumina_internal.job_alive('lumina.jobs'::regclass, j.id));
    -- While this transaction has it locked a worker passes by: should it be rolled back, the job is queued as before.
    IF FOUND THEN
        PERFORM lumina_internal.start_workers_at_end(1, false);
    END IF;
    RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.cancel_job(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.cancel_job(oid, int8) IS 'Internal: cancel_job for a caller';
CREATE FUNCTION lumina.cancel_job(job int8) RETURNS bool LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.cancel_job(int8) IS
    'Cancels a job: a running one ends within a second of the COMMIT; false for one that has ended otherwise';

CREATE FUNCTION lumina_internal.retry_job(caller oid, wanted int8) RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    target lumina.jobs := lumina_internal.job(caller, wanted);
BEGIN
    IF target.state NOT IN ('failed', 'cancelled') THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('job %s is %s, not failed or cancelled', wanted, target.state),
            HINT = 'Only a job that failed or was cancelled can be tried again.';
    END IF;
    PERFORM lumina_internal.catalog(caller, c.name, lumina_internal.job_right(target.kind)::lumina.access_right)
        FROM lumina.catalogs c WHERE c.id = target.catalog;
    RETURN lumina_internal.submit(caller, target.kind, target.catalog, target.parameters, target.id);
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.retry_job(oid, int8) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.retry_job(oid, int8) IS 'Internal: retry_job for a caller';
CREATE FUNCTION lumina.retry_job(job int8) RETURNS int8 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.retry_job(int8) IS
    'Submits a job that failed or was cancelled once more, as a new job; returns its id';

CREATE FUNCTION lumina_internal.adopt_catalog(caller oid, catalog_name text) RETURNS int4
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted int8 := lumina_internal.catalog(caller, catalog_name, 'own');
    adopted int4;
BEGIN
    UPDATE lumina.jobs j SET system_identifier = h.system_identifier, database = h.database, timeline = h.timeline,
            directory = h.directory
        FROM lumina_internal.home() h
        WHERE j.catalog = wanted AND j.state IN ('queued', 'running', 'ready')
            AND lumina_internal.job_place(j.system_identifier, j.database, j.timeline, j.directory) <> 'here';
    GET DIAGNOSTICS adopted = ROW_COUNT;
    IF adopted > 0 THEN
        PERFORM lumina_internal.start_workers_at_end(1, true);
    END IF;
    RETURN adopted;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.adopt_catalog(oid, text) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.adopt_catalog(oid, text) IS 'Internal: adopt_catalog for a caller';
CREATE FUNCTION lumina.adopt_catalog(name text) RETURNS int4 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.adopt_catalog(text) IS
    'Lets jobs go on in a copy: those that came here with a restored, cloned or copied database; returns how many';

CREATE FUNCTION lumina_internal.resume_jobs(caller oid, force bool) RETURNS int4
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    waiting int4;
    stop lumina.workers_stopped;
BEGIN
    PERFORM lumina_internal.check_version();
    SELECT * INTO stop FROM lumina.workers_stopped;
    IF FOUND THEN
        IF NOT lumina_internal.acts_for(caller, stop.stopped_by) THEN
            RAISE insufficient_privilege USING
                MESSAGE = format('"%s" has stopped the workers of this database', stop.stopped_by),
                HINT = 'Only that role or a superuser can let them go on.';
        END IF;
        DELETE FROM lumina.workers_stopped;
    END IF;
    IF force THEN
        UPDATE lumina.jobs j SET timeline = h.timeline, directory = h.directory FROM lumina_internal.home() h
            WHERE j.state IN ('queued', 'running') AND 'own' = ANY (lumina_internal.rights(caller, j.catalog))
                AND lumina_internal.job_place(j.system_identifier, j.database, j.timeline, j.directory) = 'failover';
    END IF;
    SELECT count(*) INTO waiting FROM lumina.jobs j
        WHERE lumina_internal.rights(caller, j.catalog) IS NOT NULL AND j.state IN ('queued', 'running')
            AND NOT lumina_internal.job_alive('lumina.jobs'::regclass, j.id)
            AND lumina_internal.job_place(j.system_identifier, j.database, j.timeline, j.directory) <> 'elsewhere';
    IF waiting > 0 THEN
        PERFORM lumina_internal.start_workers_at_end(waiting, true);
    END IF;
    RETURN waiting;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.resume_jobs(oid, bool) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.resume_jobs(oid, bool) IS 'Internal: resume_jobs for a caller';
CREATE FUNCTION lumina.resume_jobs(force bool DEFAULT false) RETURNS int4 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
COMMENT ON FUNCTION lumina.resume_jobs(bool) IS
    'Starts workers for jobs that wait or have lost theirs; force: after a failover for those that move files, too; '
    'returns how many jobs';

CREATE FUNCTION lumina_internal.stop_workers(caller oid) RETURNS int4
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Workers look for this row at least twice a second, and before they take a job.
    INSERT INTO lumina.workers_stopped (stopped_by) VALUES (lumina_internal.role(caller)) ON CONFLICT DO NOTHING;
    RETURN (SELECT count(*) FROM pg_stat_activity a
        WHERE a.backend_type = 'lumina worker' AND a.datname = current_database());
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.stop_workers(oid) FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.stop_workers(oid) IS 'Internal: stop_workers for a caller';
CREATE FUNCTION lumina.stop_workers() RETURNS int4 LANGUAGE c AS 'MODULE_PATHNAME', 'as_owner';
REVOKE EXECUTE ON FUNCTION lumina.stop_workers() FROM PUBLIC;
COMMENT ON FUNCTION lumina.stop_workers() IS
    'Ends the workers of this database within a second of the COMMIT, before DROP DATABASE, say; jobs wait until '
    'resume_jobs(); returns how many ran';

CREATE PROCEDURE lumina.wait_for_job(job int8) LANGUAGE c AS 'MODULE_PATHNAME', 'wait_for_job';
COMMENT ON PROCEDURE lumina.wait_for_job(int8) IS
    'Returns when a job has succeeded or is ready, saying how far it is; raises its error if it failed or was '
    'cancelled';

-- Ended jobs that are old enough go, with their items and their groups; not the one whose groups are shown.
CREATE FUNCTION lumina_internal.remove_expired_jobs() RETURNS int8
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed int8;
BEGIN
    DELETE FROM lumina.jobs j
        WHERE j.state IN ('succeeded', 'failed', 'cancelled')
            AND j.ended_at < now() - current_setting('lumina.job_retention')::interval
            AND NOT EXISTS (SELECT FROM lumina.duplicate_runs r WHERE r.job = j.id AND r.is_current);
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;
REVOKE EXECUTE ON FUNCTION lumina_internal.remove_expired_jobs() FROM PUBLIC;
COMMENT ON FUNCTION lumina_internal.remove_expired_jobs() IS
    'Internal: removes jobs that ended longer ago than lumina.job_retention';

CREATE VIEW lumina.job_progress WITH (security_invoker = true) AS
SELECT j.id AS job, c.name AS catalog, j.kind, s.shown AS state, j.phase,
    round((100 * j.progress)::numeric, 1) AS percent,
    '[' || rpad(repeat('#', (20 * j.progress)::int4), 20, '.') || ']' AS bar,
    j.items_done AS done, j.items_total AS total, j.items_failed AS failed,
    round((j.items_done / nullif(t.seconds, 0))::numeric, 1) AS per_second,
    CASE WHEN s.shown = 'running' AND j.progress >= 0.01
        THEN make_interval(secs => round((t.seconds * (1 - j.progress) / j.progress)::numeric)::float8) END AS eta,
    date_trunc('milliseconds', coalesce(j.ended_at, now()) - j.created_at) AS age,
    CASE WHEN j.state = 'cancelled' THEN j.error
        WHEN j.error IS NOT NULL THEN j.error_code || ': ' || j.error
        WHEN pg_is_in_recovery() AND j.state IN ('queued', 'running')
            THEN 'this server is a standby: jobs run on the primary'
        WHEN s.shown = 'fenced'
            THEN 'belongs to another server or database: SELECT lumina.adopt_catalog(...) lets it go on here'
        WHEN j.state IN ('queued', 'running') AND x.extversion <> lumina.library_version()
            THEN 'extension_version_mismatch: ALTER EXTENSION lumina UPDATE'
        WHEN j.state IN ('queued', 'running') AND s.shown <> 'running' AND EXISTS (SELECT FROM lumina.workers_stopped)
            THEN 'stop_workers() was called: SELECT lumina.resume_jobs() lets jobs go on'
        WHEN s.shown = 'queued' AND greatest(j.created_at, j.claimed_at, j.progress_at) < now() - '2 seconds'::interval
            THEN 'waits for a worker: SELECT lumina.resume_jobs() starts one where lumina.max_job_workers and '
                'max_worker_processes leave a place'
        WHEN s.shown = 'running' AND j.phase = 'waiting'
            THEN 'waits for a place: all of lumina.concurrent_searches are taken'
        WHEN s.shown = 'orphaned'
            THEN 'its worker is gone: the next one resumes it, SELECT lumina.resume_jobs() starts one'
        WHEN j.state = 'ready' THEN 'a preview: waits for run_import'
        ELSE '' END AS note
FROM lumina.jobs j
JOIN lumina.catalogs c ON c.id = j.catalog
LEFT JOIN pg_extension x ON x.extname = 'lumina'
CROSS JOIN LATERAL (SELECT CASE
        WHEN j.state NOT IN ('queued', 'running') OR pg_is_in_recovery() THEN j.state::text
        WHEN lumina_internal.job_place(j.system_identifier, j.database, j.timeline, j.directory) = 'elsewhere'
            THEN 'fenced'
        WHEN j.state = 'running' AND NOT lumina_internal.job_alive('lumina.jobs'::regclass, j.id) THEN 'orphaned'
        ELSE j.state::text END AS shown) s
CROSS JOIN LATERAL (SELECT extract(epoch FROM coalesce(j.ended_at, now()) - j.claimed_at)::float8 AS seconds) t
ORDER BY j.id DESC;
GRANT SELECT ON lumina.job_progress TO PUBLIC;
COMMENT ON VIEW lumina.job_progress IS
    'Every job, newest first: state (also orphaned and fenced), percent, a bar, rate, time left, what to do';
