using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace CrowNest.Platform.Data.Migrations
{
    /// <inheritdoc />
    public partial class LogRetention : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateIndex(
                name: "ix_commands_output",
                table: "commands",
                column: "finished_at",
                filter: "last_seq > 0 AND oldest_seq <= last_seq");
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(
                name: "ix_commands_output",
                table: "commands");
        }
    }
}
