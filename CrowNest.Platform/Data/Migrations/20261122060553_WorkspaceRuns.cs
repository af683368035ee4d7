using System;
using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace CrowNest.Platform.Data.Migrations
{
    /// <inheritdoc />
    public partial class WorkspaceRuns : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "workspace_runs",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false),
                    org_id = table.Column<string>(type: "text", nullable: false),
                    project_id = table.Column<string>(type: "text", nullable: false),
                    status = table.Column<string>(type: "text", nullable: false),
                    command = table.Column<string>(type: "text", nullable: false),
                    timeout_ms = table.Column<long>(type: "bigint", nullable: false),
                    keep_sandbox = table.Column<bool>(type: "boolean", nullable: false),
                    metadata = table.Column<string>(type: "jsonb", nullable: false),
                    source_metadata = table.Column<string>(type: "jsonb", nullable: true),
                    artifacts = table.Column<string>(type: "jsonb", nullable: false),
                    allowance = table.Column<string>(type: "jsonb", nullable: false),
                    template_id = table.Column<string>(type: "text", nullable: false),
                    template_version_id = table.Column<string>(type: "text", nullable: false),
                    warm_sandbox_id = table.Column<string>(type: "text", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    archive_sha256 = table.Column<string>(type: "text", nullable: true),
                    archive_size_bytes = table.Column<long>(type: "bigint", nullable: true),
                    archive_key = table.Column<string>(type: "text", nullable: true),
                    uploaded_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    sandbox_id = table.Column<string>(type: "text", nullable: true),
                    command_id = table.Column<string>(type: "text", nullable: true),
                    started_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    finished_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true),
                    exit_code = table.Column<int>(type: "integer", nullable: true),
                    artifact_ids = table.Column<string[]>(type: "text[]", nullable: false),
                    artifact_errors = table.Column<string>(type: "jsonb", nullable: false),
                    cleanup_status = table.Column<string>(type: "text", nullable: true),
                    failure_reason = table.Column<string>(type: "text", nullable: true),
                    failure_class = table.Column<string>(type: "text", nullable: true),
                    failure_message = table.Column<string>(type: "text", nullable: true),
                    orchestration_succeeded = table.Column<bool>(type: "boolean", nullable: true),
                    claimed_by = table.Column<string>(type: "text", nullable: true),
                    last_seq = table.Column<long>(type: "bigint", nullable: false),
                    output_seq = table.Column<long>(type: "bigint", nullable: false),
                    output_bytes = table.Column<long>(type: "bigint", nullable: false),
                    output_truncated = table.Column<bool>(type: "boolean", nullable: false),
                    evidence_key = table.Column<string>(type: "text", nullable: true),
                    evidence_sha256 = table.Column<string>(type: "text", nullable: true),
                    closed_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_workspace_runs", x => x.id);
                    table.ForeignKey(
                        name: "FK_workspace_runs_projects_project_id",
                        column: x => x.project_id,
                        principalTable: "projects",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                    table.ForeignKey(
                        name: "FK_workspace_runs_template_versions_template_version_id",
                        column: x => x.template_version_id,
                        principalTable: "template_versions",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Restrict);
                });

            migrationBuilder.CreateTable(
                name: "archive_transfers",
                columns: table => new
                {
                    id = table.Column<string>(type: "text", nullable: false),
                    run_id = table.Column<string>(type: "text", nullable: false),
                    status = table.Column<string>(type: "text", nullable: false),
                    sha256 = table.Column<string>(type: "text", nullable: false),
                    size_bytes = table.Column<long>(type: "bigint", nullable: false),
                    object_key = table.Column<string>(type: "text", nullable: true),
                    received_sha256 = table.Column<string>(type: "text", nullable: true),
                    received_bytes = table.Column<long>(type: "bigint", nullable: true),
                    created_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false),
                    expires_at = table.Column<DateTimeOffset>(type: "timestamp with time zone", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_archive_transfers", x => x.id);
                    table.ForeignKey(
                        name: "FK_archive_transfers_workspace_runs_run_id",
                        column: x => x.run_id,
                        principalTable: "workspace_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "workspace_run_events",
                columns: table => new
                {
                    run_id = table.Column<string>(type: "text", nullable: false),
                    seq = table.Column<long>(type: "bigint", nullable: false),
                    @event = table.Column<byte[]>(name: "event", type: "bytea", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_workspace_run_events", x => new { x.run_id, x.seq });
                    table.ForeignKey(
                        name: "FK_workspace_run_events_workspace_runs_run_id",
                        column: x => x.run_id,
                        principalTable: "workspace_runs",
                        principalColumn: "id",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "IX_archive_transfers_run_id",
                table: "archive_transfers",
                column: "run_id");

            migrationBuilder.CreateIndex(
                name: "IX_workspace_runs_metadata",
                table: "workspace_runs",
                column: "metadata")
                .Annotation("Npgsql:IndexMethod", "gin")
                .Annotation("Npgsql:IndexOperators", new[] { "jsonb_path_ops" });

            migrationBuilder.CreateIndex(
                name: "IX_workspace_runs_org_id_created_at_id",
                table: "workspace_runs",
                columns: new[] { "org_id", "created_at", "id" },
                descending: new[] { false, true, true });

            migrationBuilder.CreateIndex(
                name: "IX_workspace_runs_project_id",
                table: "workspace_runs",
                column: "project_id");

            migrationBuilder.CreateIndex(
                name: "IX_workspace_runs_template_version_id",
                table: "workspace_runs",
                column: "template_version_id");

            migrationBuilder.CreateIndex(
                name: "ix_workspace_runs_open",
                table: "workspace_runs",
                column: "started_at",
                filter: "closed_at IS NULL");

            migrationBuilder.CreateIndex(
                name: "ix_workspace_runs_warm",
                table: "workspace_runs",
                column: "warm_sandbox_id",
                filter: "closed_at IS NULL");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "archive_transfers");

            migrationBuilder.DropTable(
                name: "workspace_run_events");

            migrationBuilder.DropTable(
                name: "workspace_runs");
        }
    }
}
