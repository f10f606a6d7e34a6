//! What runs and what was lost: of the server itself, its store, and every agent that has reported.

use crate::error::ApiError;
use crate::{Server, blocking, figures, now_ns};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use limpid_model::names::AGENT_STATUS_EVENT;
use limpid_query::entities;
use limpid_store::EventQuery;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Agents report every ten seconds; what is older than this is silent.
const SILENT_AFTER_NS: u64 = 60_000_000_000;
/// Processes are reported every minute; what is older is gone.
const WATCHED_NS: u64 = 120_000_000_000;
/// Agents that were heard of in this time are listed.
const LISTED_NS: u64 = 24 * 3600 * 1_000_000_000;

pub async fn status(State(server): State<Arc<Server>>) -> Result<Json<Value>, ApiError> {
    blocking(move || Ok(Json(report(&server)?))).await
}

fn report(server: &Server) -> Result<Value, ApiError> {
    let stats = &server.ingest.stats;
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let store = server.store.status();
    let mut problems = server.problems();
    problems.extend(store.problem.clone());
    let agents = agents(server, &mut problems)?;
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_ns": server.started_ns.to_string(),
        "problems": problems,
        "agents": agents,
        "processes": processes(server)?,
        "server": {
            "cpu_seconds": figures::cpu_seconds(),
            "memory_bytes": figures::memory_bytes(),
            "ingest": {
                "messages": count(&stats.messages),
                "bytes": count(&stats.bytes),
                "spans": count(&stats.spans),
                "points": count(&stats.points),
                "rejected": count(&stats.rejected),
                "refused": count(&stats.refused),
                "failed": count(&stats.failed),
            },
        },
        "store": store,
    }))
}

/// How many processes are watched now.
fn processes(server: &Server) -> Result<usize, ApiError> {
    let now = now_ns();
    let known = entities::count_of_kind(&*server.store, "process", now.saturating_sub(WATCHED_NS), now)?;
    Ok(known)
}

/// The newest report of each agent, and since when it is silent.
fn agents(server: &Server, problems: &mut Vec<String>) -> Result<Vec<Value>, ApiError> {
    let now = now_ns();
    let query = EventQuery {
        start_ns: now.saturating_sub(LISTED_NS),
        end_ns: now + SILENT_AFTER_NS,
        name: Some(AGENT_STATUS_EVENT.into()),
        entity: None,
        limit: 1000,
    };
    let mut agents: Vec<Value> = Vec::new();
    for event in entities::events(&*server.store, &query)? {
        let Ok(mut agent) = serde_json::from_str::<Value>(&event.body) else { continue };
        if agents.iter().any(|known| known["host"] == agent["host"]) {
            continue;
        }
        let silent = now.saturating_sub(event.time_ns) > SILENT_AFTER_NS;
        if silent {
            problems.push(format!("the agent on {} is silent", agent["host"].as_str().unwrap_or("an unknown host")));
        }
        agent["reported_ns"] = event.time_ns.to_string().into();
        agent["silent"] = silent.into();
        agents.push(agent);
    }
    Ok(agents)
}

pub async fn ready(State(server): State<Arc<Server>>) -> (StatusCode, String) {
    match server.store.status().problem {
        None => (StatusCode::OK, "ready\n".into()),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}
